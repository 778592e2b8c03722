//! `GET /live/<app>/<room>/mjpeg`: `multipart/x-mixed-replace`, for all clients that play
//! video over plain HTTP.
//!
//! hyper would buffer hundreds of kilobytes of body for a slow client, which is seconds of
//! stale video. So the body returns a part only after the previous one has left the
//! process, and that part is then the newest frame.

use super::changes::ViewingPermission;
use super::playback::Playback;
use super::watching::{Encoding, Watching};
use crate::answer::{PathParams, Problem, QueryParams};
use crate::visitor::{Identity, Visitor};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http_body::Frame as BodyFrame;
use ocelli_core::Frame;
use ocelli_net::connection::{ConnectionFacts, Flushes};
use ocelli_net::counts::{Transport, ViewerGuard};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

const FIRST_BOUNDARY: Bytes = Bytes::from_static(b"--frame\r\n");
/// Sent with each part, because browsers paint a part only when they see the next boundary.
const BOUNDARY: Bytes = Bytes::from_static(b"\r\n--frame\r\n");

pub(super) fn routes() -> Router<Arc<Identity>> {
    Router::new().route("/live/{app}/{room}/mjpeg", get(mjpeg))
}

async fn mjpeg(
    State(identity): State<Arc<Identity>>,
    Extension(connection): Extension<ConnectionFacts>,
    visitor: Visitor,
    PathParams((app, room)): PathParams<(String, String)>,
    QueryParams(playback): QueryParams<Playback>,
) -> Result<Response, Problem> {
    let camera = visitor.find(&app, &room)?;
    let parts = Parts {
        permission: ViewingPermission::new(&identity, visitor, &camera),
        watching: Watching::new(
            identity.hub.clone(),
            camera,
            playback.stream.into(),
            Encoding::Jpeg,
        ),
        flushes: connection.flushes,
        viewer_guard: identity.server_state.counts.enter(Transport::Mjpeg),
        next: Next::Opening,
    };
    let headers = [
        (CONTENT_TYPE, "multipart/x-mixed-replace; boundary=frame"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::new(parts)).into_response())
}

/// What the body returns next.
enum Next {
    Opening,
    /// The newest frame, as soon as there have been more flushes than this.
    Head(u64),
    Picture(Frame),
    Boundary,
}

struct Parts {
    permission: ViewingPermission,
    watching: Watching,
    flushes: Arc<Flushes>,
    viewer_guard: ViewerGuard,
    next: Next,
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let (bytes, next) = match std::mem::replace(&mut this.next, Next::Boundary) {
            Next::Opening => (FIRST_BOUNDARY, Next::Head(this.flushes.count())),
            Next::Head(seen) => {
                this.next = Next::Head(seen);
                if this.permission.poll_revoked(cx).is_ready() {
                    return Poll::Ready(None);
                }
                ready!(this.flushes.poll_beyond(seen, cx));
                let Some(frame) = ready!(this.watching.poll_next(cx)) else {
                    return Poll::Ready(None);
                };
                this.viewer_guard.tally().sent(frame.payload_len());
                let head = format!(
                    "Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                    frame.payload_len()
                );
                (Bytes::from(head), Next::Picture(frame))
            }
            Next::Picture(frame) => (frame.payload(), Next::Boundary),
            Next::Boundary => (BOUNDARY, Next::Head(this.flushes.count())),
        };
        this.next = next;
        Poll::Ready(Some(Ok(BodyFrame::data(bytes))))
    }
}
