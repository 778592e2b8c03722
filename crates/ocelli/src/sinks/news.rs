//! That something has happened in the hub, and whether a viewer may stay after it.

use crate::site::Site;
use crate::visitor::{LAPSED, PRIVATE, Visitor};
use futures_util::Stream;
use ocelli_core::name::CameraId;
use ocelli_core::{Camera, Hub};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::watch::Receiver;
use tokio_stream::wrappers::WatchStream;

/// That cameras came, went or changed, or that other viewers may see them, or that the
/// hub stops.
pub struct News {
    /// Tells by an atomic load.
    changes: Receiver<u64>,
    /// Wakes; once polled it stays registered, so it is polled once for each news.
    alarm: WatchStream<u64>,
    armed: bool,
}

impl News {
    /// Of this hub, from now on.
    pub fn new(hub: &Hub) -> Self {
        let changes = hub.changes();
        Self {
            alarm: WatchStream::from_changes(changes.clone()),
            changes,
            armed: false,
        }
    }

    /// Whether there are any; if not, there will be a wake when there are.
    pub fn any(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.armed {
            // What it has rung for already is what `changes` tells.
            let rung = Pin::new(&mut self.alarm).poll_next(cx);
            self.armed = !matches!(rung, Poll::Ready(Some(_)));
        }
        self.changes.has_changed().unwrap_or(false)
    }

    /// Counts what there is as known.
    pub fn take(&mut self) {
        self.changes.mark_unchanged();
        self.armed = false;
    }
}

/// That one viewer may watch one camera, asked whenever something has happened and
/// not at each frame.
pub struct Stay {
    visitor: Visitor,
    camera: CameraId,
    news: News,
    begun: bool,
}

impl Stay {
    /// A viewer who may watch this camera now.
    pub fn new(site: &Site, visitor: Visitor, camera: &Arc<Camera>) -> Self {
        site.visitors.stay(&visitor);
        Self {
            visitor,
            camera: camera.id().clone(),
            news: News::new(&site.hub),
            begun: false,
        }
    }

    /// Ready when the viewer may watch no more; says why.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        // What happened before the news began is asked once.
        while self.news.any(cx) || !self.begun {
            self.begun = true;
            self.news.take();
            if self.visitor.has_lapsed() {
                return Poll::Ready(LAPSED);
            }
            if !self.visitor.may_watch(&self.camera) {
                return Poll::Ready(PRIVATE);
            }
        }
        Poll::Pending
    }
}
