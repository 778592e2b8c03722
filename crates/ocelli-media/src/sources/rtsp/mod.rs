//! Source for RTSP cameras: H.264, H.265 and MJPEG, passed on without transcoding. RTP is sent
//! in the RTSP connection, or over UDP by cameras that refuse that. Other codecs are left to the
//! kind `ffmpeg`.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`message`] | requests and responses, parsed line by line |
//! | [`wire`], [`input`], [`connection`] | the TCP or TLS connection, with messages and packets in one stream |
//! | [`datagrams`] | the ports for RTP over UDP |
//! | [`auth`] | authentication |
//! | [`sdp`], [`answers`] | parsing of the SDP and of response headers |
//! | [`client`] | connecting, DESCRIBE, redirects, the choice between TCP and UDP |
//! | [`talk`] | requests and responses in both directions, TEARDOWN |
//! | [`session`] | SETUP, PLAY, keep-alive, packets |
//! | [`unpacker`], [`order`] | RTP packets, in their order |
//! | [`access_unit`] | pictures in H.264 and H.265 |
//! | [`jpeg_packets`] | pictures in JPEG, with the library `retina` |
//! | [`sound_packets`] | sound |
//! | [`rtp`], [`rtcp`] | headers of packets, sender reports |
//! | [`reception`] | publishing of the pictures |
//! | [`error`], [`explain`] | faults, and the reasons for the user |
//!
//! Everything that a camera sends is limited: in bytes before they are stored, and in time by
//! a [`Budget`]. Exceeding a limit ends the attempt with a reason.

mod access_unit;
mod answers;
mod auth;
mod client;
mod connection;
mod datagrams;
mod error;
mod explain;
#[cfg(fuzzing)]
mod fuzzing;
mod input;
mod jpeg_packets;
mod message;
mod order;
mod reception;
mod rtcp;
mod rtp;
mod sdp;
mod session;
mod sound_packets;
mod talk;
mod unpacker;
mod wire;

pub use client::{Client, default_port};
pub use error::SessionError;
#[cfg(fuzzing)]
pub use fuzzing::{items, pictures};
pub use message::Fault;
pub use sdp::Track;
pub use session::{Delivery, Received, Session};
pub use sound_packets::Unit;
pub use unpacker::Picture;

use super::ffmpeg::Ffmpeg;
use super::pace::{MAX_FPS, Pace};
use super::sound_request::SoundRequest;
use super::{Address, Kind};
use crate::options::JpegOptions;
use ocelli_config::{ConfigError, Section};
use ocelli_core::{
    Budget, Closed, Codec, Failure, FailureKind, PeerKind, Publisher, RunOnce, Source,
};
use reception::Reception;
use std::sync::Arc;
use url::Url;

/// The kind `rtsp`.
pub const KIND: Kind = Kind {
    name: "rtsp",
    schemes: &["rtsp", "rtsps"],
    about: "An RTSP camera: H.264, H.265 or MJPEG, with AAC or G.711 sound, over TCP or, if the camera refuses that, UDP.",
    example: "rtsp://viewer:password@10.0.0.7/stream1",
    options: &[
        (
            "verify_tls",
            "for rtsps: false accepts any certificate, including self-signed ones; true by default",
        ),
        (
            "sound",
            "false does not request the camera's sound; true by default",
        ),
    ],
    open,
};

struct Rtsp {
    client: Client,
    /// Plays other codecs, for cameras in the configuration file.
    ffmpeg: Option<Ffmpeg>,
}

fn open(address: Address, options: &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError> {
    let verify_tls = options.boolean("verify_tls")?.unwrap_or(true);
    let sound = options.boolean("sound")?.unwrap_or(true);
    let url = Url::parse(address.bare())
        .ok()
        .filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
    let Some(url) = url else {
        return Err(ConfigError::new(format!(
            "{:?} is not an RTSP address; write it like {:?}",
            address.redacted(),
            "rtsp://10.0.0.7/stream1"
        )));
    };
    // ffmpeg connects by itself: it would neither check addresses nor certificates.
    let ffmpeg = match address.ssrf_guard.is_none() && url.scheme() == "rtsp" {
        true => Some(Ffmpeg::rtsp(JpegOptions::of(options)?)),
        false => None,
    };
    let mut client = Client::new(url, address.credentials, "ocelli");
    client.ssrf_guard = address.ssrf_guard;
    client.verify_tls = verify_tls;
    client.sound = SoundRequest::new(sound);
    Ok(Arc::new(Rtsp { client, ffmpeg }))
}

impl Source for Rtsp {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move { self.run(&publisher).await })
    }

    fn closed(self: Arc<Self>) -> Closed {
        Box::pin(async move {
            self.client.teardowns.wait().await;
            if let Some(ffmpeg) = &self.ffmpeg {
                ffmpeg.ended().await;
            }
        })
    }
}

impl Rtsp {
    async fn run(&self, publisher: &Publisher) -> Result<(), Failure> {
        let mut client = self.client.clone();
        let budget = || -> Option<Budget> { Some(publisher.budget(PeerKind::Camera)) };
        let mut session = match (client.play(budget).await, &self.ffmpeg) {
            (Ok(session), _) => session,
            (Err(SessionError::Codec(name)), Some(ffmpeg)) if client.url.scheme() == "rtsp" => {
                return transcode(&client, &name, ffmpeg, publisher).await;
            }
            (Err(error), _) => return Err(client.explain(&error)),
        };
        let explained = |error: SessionError| client.explain(&error);
        publisher.set_sound(session.sound_format().cloned());
        let mut trial = client.sound.observe(session.sound_format().is_some());
        let codec = session.track().map_err(explained)?.codec();
        let mut reception = Reception::new(codec.unwrap_or(Codec::Jpeg), publisher);
        let mut pace = Pace::new(MAX_FPS);
        // The watchdog ends a silent stream.
        loop {
            let received = session.receive().await;
            match received
                .inspect_err(|_| trial.note_failure())
                .map_err(explained)?
            {
                Received::Picture(picture) => {
                    trial.note_picture();
                    reception.publish_picture(picture, &session)?;
                    pace.wait().await;
                }
                Received::Packet => publisher.note_received(),
                Received::Sound(unit) => reception.publish_sound(&unit, &session),
            }
        }
    }
}

/// Plays a camera with an unsupported codec by ffmpeg.
async fn transcode(
    client: &Client,
    codec: &str,
    ffmpeg: &Ffmpeg,
    publisher: &Publisher,
) -> Result<(), Failure> {
    tracing::info!(camera = %client.peer(), codec, "its codec needs ffmpeg");
    publisher.set_sound(None);
    let played = ffmpeg.play(&client.url, client.credentials.as_ref(), publisher);
    played.await.map_err(|failure| match failure.kind {
        FailureKind::Missing => Failure::new(
            failure.kind,
            format!("its video is {codec}, which needs ffmpeg: {failure}"),
        ),
        _ => failure,
    })
}
