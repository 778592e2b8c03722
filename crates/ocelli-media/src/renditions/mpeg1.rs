//! MPEG-1 rendition of any stream, for viewers whose only video decoder is JavaScript: one
//! ffmpeg for all such viewers of a camera.
//!
//! ffmpeg writes AVI, because AVI gives each picture's length before the picture. In an
//! elementary stream a picture's end is visible only when the next picture begins. ffmpeg
//! repeats and drops pictures by their input timestamps to reach one of MPEG-1's frame rates.

use super::feed::{self, Ended, FIRST_TIMESTAMP, Feed, FeedOptions, Running};
use crate::ffmpeg::{self, Avi};
use crate::mpeg1;
use crate::options::Mpeg1Options;
use ocelli_core::{Codec, Follower, PeerKind, Picture, Publisher, Rendition, RunOnce};
use std::sync::Arc;
use tokio::process::ChildStdout;

/// The longest pause that is filled with repeated pictures. Players show all pictures in
/// order, so the next picture would wait behind further repetitions.
const LONGEST_PAUSE_MILLIS: i64 = 250;

/// MPEG-1 rendition made by ffmpeg.
pub struct Mpeg1Rendition {
    options: Mpeg1Options,
}

impl Mpeg1Rendition {
    /// Creates a rendition with these options.
    pub fn new(options: Mpeg1Options) -> Self {
        Self { options }
    }
}

impl Rendition for Mpeg1Rendition {
    fn run_once(self: Arc<Self>, mut input: Follower, publisher: Publisher) -> RunOnce {
        Box::pin(async move {
            let limits = publisher.capacity().limits();
            let first = input.next().await;
            let crop = ffmpeg::crop(&first);
            let from = FIRST_TIMESTAMP as f64 / 1e3;
            // A size that viewers were told stays, also for an encoder that is started later.
            let size = first.size.map(|size| {
                let encoded = mpeg1::encoded_size(size, self.options.width);
                publisher.fix_size(encoded)
            });
            let output = ffmpeg::to_mpeg1(&self.options, from, crop.as_deref(), size);
            let Running {
                mut child,
                mut stdin,
                stdout,
            } = feed::start(&first, output, limits)?;
            let (over, under) = self.options.rate;
            let interval = 1e3 * f64::from(under) / f64::from(over);
            let feed = Feed::new(FeedOptions {
                key_frames: false,
                any_size: size.is_some(),
                longest_pause: LONGEST_PAUSE_MILLIS,
                // ffmpeg may drop pictures that arrive faster than this.
                min_interval: 2.0 * interval,
                picture_time: limits.picture_time,
            });
            let budget = publisher.budget(PeerKind::Program);
            let ended = tokio::select! {
                ended = feed.write(&mut stdin, first, &mut input) => ended,
                ended = read(&feed, Avi::new(stdout, budget), interval, &publisher) => ended,
                ended = feed.overdue(|time| publisher.note_stalled(time)) => ended,
            };
            Err(ended.failure(&mut child, limits).await)
        })
    }

    fn size_of(&self, input: (u16, u16)) -> Option<(u16, u16)> {
        Some(mpeg1::encoded_size(input, self.options.width))
    }
}

/// Reads pictures that each last `interval` milliseconds.
async fn read(
    feed: &Feed,
    mut pictures: Avi<ChildStdout>,
    interval: f64,
    publisher: &Publisher,
) -> Ended {
    let mut shown = 0.0;
    loop {
        let Ok(buffer) = pictures.next().await else {
            return Ended::Exited;
        };
        let captured = feed.output_after(shown);
        shown += interval;
        let sequence = mpeg1::sequence(buffer.payload());
        publisher.publish(Picture {
            codec: Codec::Mpeg1,
            key: sequence.is_some(),
            captured,
            size: sequence.map(|sequence| sequence.size),
            codec_string: None,
            buffer,
        });
    }
}
