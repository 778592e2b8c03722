//! The text events of the `ocelli.v2` form, and which cameras the viewer has been sent.

use super::watch::Watched;
use crate::visitor::Visitor;
use ocelli_core::text::{shown, without_secrets};
use ocelli_core::{Camera, Codec, Hub, Quality, SoundFormat, StreamListing, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The cameras that a viewer has been sent: by id, the camera and its revision. It holds
/// the camera, so that a new camera with the same id is recognized as different.
pub struct SentCameras(BTreeMap<String, (Arc<Camera>, u64)>);

impl SentCameras {
    /// Starts with all cameras that this visitor may see. Returns the `hello` event with them
    /// too.
    pub fn hello(hub: &Hub, visitor: &Visitor) -> (Self, String) {
        let cameras = visitor.cameras();
        let revisions = cameras.iter().map(with_revision).collect();
        let hello = json!({
            "type": "hello",
            "version": env!("CARGO_PKG_VERSION"),
            "time": hub.clock().now().0,
            "cameras": cameras.iter().map(|camera| describe(camera)).collect::<Vec<_>>(),
        });
        (Self(revisions), hello.to_string())
    }

    /// The changes since the last call: `camera` and `gone` events.
    pub fn changes(&mut self, visitor: &Visitor) -> Vec<String> {
        let mut events = Vec::new();
        let cameras = visitor.cameras();
        let now: BTreeMap<_, _> = cameras.iter().map(with_revision).collect();
        let known = |id: &str, camera: &Arc<Camera>, revision| {
            let old = self.0.get(id);
            old.is_some_and(|(old, sent)| Arc::ptr_eq(old, camera) && *sent == revision)
        };
        for id in self.0.keys().filter(|id| !now.contains_key(*id)) {
            events.push(json!({ "type": "gone", "id": id }).to_string());
        }
        for (id, (camera, revision)) in &now {
            if !known(id, camera, *revision) {
                let event = json!({ "type": "camera", "camera": describe(camera) });
                events.push(event.to_string());
            }
        }
        self.0 = now;
        events
    }
}

fn with_revision(camera: &Arc<Camera>) -> (String, (Arc<Camera>, u64)) {
    let id = camera.id().as_str().to_owned();
    (id, (camera.clone(), camera.revision()))
}

fn describe(camera: &Camera) -> Value {
    let status = camera.status();
    let mut described = json!({
        "id": camera.id().as_str(),
        "name": camera.name(),
        "state": status.state.name(),
        "codecs": codecs(status.codec),
    });
    let streams = camera.streams();
    if !streams.is_empty() {
        described["streams"] = streams.iter().map(describe_stream).collect();
    }
    if let Some(sound) = camera.sound() {
        described["sound"] = describe_sound(&sound);
    }
    if camera.has_substream() {
        described["hasSubstream"] = true.into();
    }
    if let Some(reason) = status.state.reason() {
        described["reason"] = reason.into();
    }
    if let Some(last) = status.last_failure {
        described["lastFailure"] = json!({ "reason": last.reason, "at": last.at.0 });
    }
    if let Some((width, height)) = status.size {
        described["width"] = width.into();
        described["height"] = height.into();
    }
    described
}

/// The codecs in which a camera's pictures are available, its own first.
fn codecs(native: Option<Codec>) -> Vec<&'static str> {
    let native = native.filter(|codec| codec.is_native());
    native
        .into_iter()
        .chain([Codec::Jpeg])
        .map(Codec::name)
        .collect()
}

fn describe_stream(stream: &StreamListing) -> Value {
    let mut described = json!({
        "name": match stream.quality {
            Quality::Main => "main",
            Quality::Sub => "sub",
        },
        "codec": stream.codec.name(),
    });
    if let Some(codec_string) = &stream.codec_string {
        described["type"] = (**codec_string).into();
    }
    if let Some((width, height)) = stream.size {
        described["width"] = width.into();
        described["height"] = height.into();
    }
    if stream.fps > 0.0 {
        described["fps"] = ((stream.fps * 10.0).round() / 10.0).into();
    }
    described
}

fn describe_sound(sound: &SoundFormat) -> Value {
    let mut described = json!({
        "codec": sound.codec.name(),
        "type": sound.codec_string,
        "rate": sound.rate,
        "channels": sound.channels,
    });
    if !sound.config.is_empty() {
        let digits = sound.config.iter().map(|byte| format!("{byte:02x}"));
        described["config"] = digits.collect::<String>().into();
    }
    described
}

/// The event for a command that was ignored, entirely or for one camera.
pub fn error(code: &str, message: &str, camera: Option<&String>) -> String {
    let mut event = json!({ "type": "error", "code": code, "message": shown(message) });
    if let Some(camera) = camera {
        event["camera"] = without_secrets(camera).into();
    }
    event.to_string()
}

/// The hub's time, with the viewer's time echoed.
pub fn pong(t: &serde_json::Number, now: Timestamp) -> String {
    json!({ "type": "pong", "t": t, "time": now.0 }).to_string()
}

/// Frames sent and dropped for each camera, its number of viewers, and whether this viewer lags.
pub fn stats(now: Timestamp, watched: &mut Watched) -> String {
    let counts = watched.counts().map(|(id, counts)| {
        let mut count = json!({
            "sent": counts.sent,
            "dropped": counts.dropped,
            "viewers": counts.viewers,
        });
        if counts.lagging {
            count["lagging"] = true.into();
        }
        (id.to_owned(), count)
    });
    let cameras: serde_json::Map<_, _> = counts.collect();
    json!({ "type": "stats", "time": now.0, "cameras": cameras }).to_string()
}
