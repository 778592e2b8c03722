//! JPEG rendition of streams in other codecs: one ffmpeg for all viewers of a camera.
//!
//! Each JPEG comes back with the timestamp of its input picture, which gives its true
//! capture time.

use super::feed::{self, Ended, FIRST_TIMESTAMP, Feed, FeedOptions, Running};
use crate::ffmpeg::{self, Smjpeg};
use crate::jpeg;
use crate::options::{JpegOptions, JpegRate};
use ocelli_core::{Follower, PeerKind, Publisher, Rendition, RunOnce};
use std::sync::Arc;
use tokio::process::ChildStdout;

/// A pause longer than this is shortened in the timestamps.
const LONGEST_PAUSE_MILLIS: i64 = 10_000;

/// JPEG rendition made by ffmpeg.
pub struct JpegRendition {
    options: JpegOptions,
}

impl JpegRendition {
    /// Creates a rendition with these options.
    pub fn new(options: JpegOptions) -> Self {
        Self { options }
    }
}

impl Rendition for JpegRendition {
    fn run_once(self: Arc<Self>, mut input: Follower, publisher: Publisher) -> RunOnce {
        Box::pin(async move {
            let limits = publisher.capacity().limits();
            let first = input.next().await;
            let crop = ffmpeg::crop(&first);
            let from = Some(FIRST_TIMESTAMP as f64 / 1e3);
            let output = ffmpeg::to_smjpeg(&self.options, from, crop.as_deref());
            let Running {
                mut child,
                mut stdin,
                stdout,
            } = feed::start(&first, output, limits)?;
            let feed = Feed::new(FeedOptions {
                key_frames: self.options.rate == JpegRate::KeyFrames,
                any_size: false,
                longest_pause: LONGEST_PAUSE_MILLIS,
                min_interval: match self.options.rate {
                    JpegRate::Fps(fps) => 1e3 * ffmpeg::DUE_FRACTION / fps,
                    JpegRate::KeyFrames => 0.0,
                },
                picture_time: limits.picture_time,
            });
            let budget = publisher.budget(PeerKind::Program);
            let ended = tokio::select! {
                ended = feed.write(&mut stdin, first, &mut input) => ended,
                ended = read(&feed, Smjpeg::new(stdout, budget), &publisher) => ended,
                ended = feed.overdue(|time| publisher.note_stalled(time)) => ended,
            };
            Err(ended.failure(&mut child, limits).await)
        })
    }
}

async fn read(feed: &Feed, mut pictures: Smjpeg<ChildStdout>, publisher: &Publisher) -> Ended {
    loop {
        let Ok(Some((millis, buffer))) = pictures.next().await else {
            return Ended::Exited;
        };
        let captured = feed.output_with_timestamp(millis);
        let Ok(mut picture) = jpeg::picture_in(buffer) else {
            continue;
        };
        picture.captured = captured;
        publisher.publish(picture);
    }
}
