//! JPEG of whatever is none: one ffmpeg for all the viewers of a camera.
//!
//! JPEGs come back with the stamps of the pictures they show, and through them
//! with the true time of capture.

use super::feed::{self, Ended, Feed, FeedOptions, JOINED, PATIENCE, Running};
use crate::config::{JpegOptions, JpegRate};
use crate::ffmpeg::{self, Smjpeg};
use crate::jpeg;
use ocelli_core::{Follower, PeerKind, Picture, Publisher, Rendition, RunOnce};
use std::sync::Arc;
use std::time::Duration;
use tokio::process::ChildStdout;
use tokio::time::timeout;

/// A pause longer than this is a new beginning.
const LONGEST_PAUSE_MILLIS: i64 = 10_000;

/// Derives JPEG by ffmpeg.
pub struct JpegRendition {
    options: JpegOptions,
}

impl JpegRendition {
    /// A rendition with these options.
    pub fn new(options: JpegOptions) -> Self {
        Self { options }
    }
}

impl Rendition for JpegRendition {
    fn run_once(self: Arc<Self>, mut input: Follower, publisher: Publisher) -> RunOnce {
        Box::pin(async move {
            let first = input.next().await;
            let crop = ffmpeg::crop(&first);
            let from = Some(JOINED as f64 / 1e3);
            let output = ffmpeg::to_smjpeg(&self.options, from, crop.as_deref());
            let Running {
                mut child,
                mut stdin,
                stdout,
            } = feed::start(&first, output)?;
            let feed = Feed::new(FeedOptions {
                key_frames: self.options.rate == JpegRate::KeyFrames,
                longest_pause: LONGEST_PAUSE_MILLIS,
            });
            let budget = publisher.budget(PeerKind::Program);
            let ended = tokio::select! {
                ended = feed.write(&mut stdin, first, &mut input) => ended,
                ended = self.read(&feed, Smjpeg::new(stdout, budget), &publisher) => ended,
            };
            Err(ended.failure(&mut child).await)
        })
    }
}

impl JpegRendition {
    fn patience(&self) -> Duration {
        match self.options.rate {
            JpegRate::Fps(fps) => PATIENCE.max(Duration::from_secs_f64(3.0 / fps)),
            JpegRate::KeyFrames => PATIENCE,
        }
    }

    async fn read(
        &self,
        feed: &Feed,
        mut pictures: Smjpeg<ChildStdout>,
        publisher: &Publisher,
    ) -> Ended {
        loop {
            let (millis, buffer) = match timeout(self.patience(), pictures.next()).await {
                Ok(Ok(Some(picture))) => picture,
                Ok(Ok(None) | Err(_)) => return Ended::Itself,
                Err(_) if feed.waits() => return Ended::Silent,
                Err(_) => continue,
            };
            let captured = feed.answered_with(millis);
            let Some(size) = jpeg::size(buffer.payload()) else {
                continue;
            };
            let mut picture = Picture::jpeg(buffer, Some(size));
            picture.captured = captured;
            publisher.publish(picture);
        }
    }
}
