//! `GET /live/<app>/<room>/stream.mp4`: the camera's own H.264 or H.265, and AAC if it sends that,
//! as fragmented MP4, for `<video>` and for players.
//!
//! The body returns a fragment only after the previous one has left the process, so at most one is
//! waiting for each viewer, and a second of sound. A viewer that falls behind gets the newest group next.

use super::changes::ViewingPermission;
use super::playback::Playback;
use super::snapshot::{FIRST_PICTURE_TIMEOUT, no_picture};
use super::watching::{Encoding, Watching};
use crate::answer::{PathParams, Problem, QueryParams};
use crate::visitor::{Identity, Visitor};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http_body::Frame as BodyFrame;
use ocelli_core::{Codec, Hub, SoundCodec, SoundFormat};
use ocelli_media::mp4::Muxer;
use ocelli_media::sources::push;
use ocelli_net::connection::{ConnectionFacts, Flushes};
use ocelli_net::counts::{Transport, ViewerGuard};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::timeout;

/// How long a stream waits for the first sound of a camera that has some.
const SOUND_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) fn routes() -> Router<Arc<Identity>> {
    Router::new().route("/live/{app}/{room}/stream.mp4", get(stream))
}

async fn stream(
    State(identity): State<Arc<Identity>>,
    Extension(connection): Extension<ConnectionFacts>,
    visitor: Visitor,
    PathParams((app, room)): PathParams<(String, String)>,
    QueryParams(playback): QueryParams<Playback>,
) -> Result<Response, Problem> {
    let camera = visitor.find(&app, &room)?;
    if camera.kind() == push::KIND {
        return Err(not_in_mp4(Codec::Jpeg, &app, &room));
    }
    let viewer_guard = identity.server_state.counts.enter(Transport::Mp4);
    let permission = ViewingPermission::new(&identity, visitor, &camera);
    let (hub, quality) = (identity.hub.clone(), playback.stream.into());
    let mut watching = Watching::new(hub, camera, quality, Encoding::Native);
    let first = timeout(FIRST_PICTURE_TIMEOUT, start(&mut watching, &identity.hub)).await;
    let (muxer, beginning) = match first {
        Ok(Ok(started)) => started,
        Ok(Err(NotStarted::Codec(codec))) => return Err(not_in_mp4(codec, &app, &room)),
        Ok(Err(NotStarted::Deleted)) => {
            return Err(Problem::not_found(format!("camera {room:?} was deleted")));
        }
        Err(_) => return Err(no_picture(watching.camera())),
    };
    let fragments = Fragments {
        permission,
        watching,
        flushes: connection.flushes,
        viewer_guard,
        muxer,
        beginning: Some(beginning),
        seen: 0,
    };
    let headers = [(CONTENT_TYPE, "video/mp4"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(fragments)).into_response())
}

fn not_in_mp4(codec: Codec, app: &str, room: &str) -> Problem {
    let message = format!(
        "camera {room:?} sends {}, and stream.mp4 needs H.264 or H.265; /live/{app}/{room}/mjpeg \
         plays this camera",
        codec.name()
    );
    Problem::new(StatusCode::NOT_ACCEPTABLE, message)
}

/// Why a stream can't start.
enum NotStarted {
    /// The camera sends another codec.
    Codec(Codec),
    Deleted,
}

/// Waits for a frame to start with. Returns the beginning of the stream with that frame.
async fn start(watching: &mut Watching, hub: &Hub) -> Result<(Muxer, Beginning), NotStarted> {
    let mut changes = hub.changes();
    loop {
        if let Some(codec) = watching.codec().filter(|codec| !codec.is_native()) {
            return Err(NotStarted::Codec(codec));
        }
        let next = tokio::select! {
            next = poll_fn(|cx| watching.poll_next(cx)) => next,
            _ = changes.changed() => continue,
        };
        let frame = next.ok_or(NotStarted::Deleted)?;
        let sound = timeout(SOUND_TIMEOUT, first_sound(watching, hub)).await;
        let sound = sound.ok().flatten();
        let Some((mut muxer, header)) = Muxer::start(&frame, sound.as_deref()) else {
            continue;
        };
        if let Some(fragment) = muxer.fragment(&frame) {
            let mut bytes = BytesMut::from(header);
            bytes.extend_from_slice(&fragment);
            return Ok((
                muxer,
                Beginning {
                    bytes: bytes.freeze(),
                    frame_len: frame.payload_len(),
                },
            ));
        }
    }
}

/// Waits for the camera's first unit of sound, if it has AAC. Returns the format. A track on which
/// nothing arrives would stop a player.
async fn first_sound(watching: &mut Watching, hub: &Hub) -> Option<Arc<SoundFormat>> {
    let mut changes = hub.changes();
    let format = loop {
        match watching.listen() {
            Some(format) => break format,
            None if watching.camera().expects_sound() => changes.changed().await.ok()?,
            None => return None,
        }
    };
    if format.codec != SoundCodec::Aac {
        return None;
    }
    let (_, format) = poll_fn(|cx| watching.poll_sound(cx)).await;
    Some(format)
}

/// The beginning of a stream, with its first frame.
struct Beginning {
    bytes: Bytes,
    frame_len: usize,
}

struct Fragments {
    permission: ViewingPermission,
    watching: Watching,
    flushes: Arc<Flushes>,
    viewer_guard: ViewerGuard,
    muxer: Muxer,
    /// What is sent first.
    beginning: Option<Beginning>,
    /// The next fragment is made as soon as there have been more flushes than this.
    seen: u64,
}

impl Fragments {
    /// The next fragment, with the length of its frame unless it is sound; `None` when the stream can't continue in
    /// this response.
    fn poll_fragment(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Bytes, Option<usize>)>> {
        while let Poll::Ready((unit, format)) = self.watching.poll_sound(cx) {
            let (captured, payload) = (unit.captured, unit.payload());
            if let Some(fragment) = self.muxer.sound_fragment(captured, &payload, &format) {
                return Poll::Ready(Some((fragment, None)));
            }
        }
        loop {
            let Poll::Ready(next) = self.watching.poll_next(cx) else {
                // A change of the camera's codec is a change of the hub, which wakes this task.
                return match self.watching.codec() {
                    Some(codec) if !self.muxer.continues_with(codec) => Poll::Ready(None),
                    _ => Poll::Pending,
                };
            };
            let Some(frame) = next.filter(|frame| self.muxer.continues_with(frame.codec)) else {
                return Poll::Ready(None);
            };
            if let Some(fragment) = self.muxer.fragment(&frame) {
                return Poll::Ready(Some((fragment, Some(frame.payload_len()))));
            }
        }
    }
}

impl http_body::Body for Fragments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let (bytes, frame_len) = match this.beginning.take() {
            Some(Beginning { bytes, frame_len }) => (bytes, Some(frame_len)),
            None => {
                if this.permission.poll_revoked(cx).is_ready() {
                    return Poll::Ready(None);
                }
                ready!(this.flushes.poll_beyond(this.seen, cx));
                match ready!(this.poll_fragment(cx)) {
                    Some(fragment) => fragment,
                    None => return Poll::Ready(None),
                }
            }
        };
        this.seen = this.flushes.count();
        if let Some(len) = frame_len {
            this.viewer_guard.tally().sent(len);
        }
        Poll::Ready(Some(Ok(BodyFrame::data(bytes))))
    }
}
