//! Feeding an ffmpeg with a camera's own stream.
//!
//! The newest group is written to ffmpeg as IVF, each picture stamped in
//! milliseconds. Should ffmpeg be too slow, the writer waits and the follower
//! jumps to the newest group: nothing queues here.
//!
//! What does not belong here: what ffmpeg makes of it.

use crate::annexb;
use crate::ffmpeg;
use crate::pipe;
use crate::supervise::{Child, Input, spawn};
use bytes::Buf;
use ocelli_core::{Codec, Failure, FailureKind, Follower, Frame, Timestamp};
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, ChildStdout};

/// Key frames in and nothing out for this long is a failure.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The stamp, in milliseconds, of the newest picture at the moment of joining.
/// Those before it are decoded, for it depends on them, but not shown: nobody
/// wants the last seconds in fast forward.
pub const JOINED: u64 = 1_000_000;

/// Stamps remembered; more pictures than this are never inside ffmpeg at once.
const REMEMBERED: usize = 512;

/// A jump of the capture time back beyond this is a new beginning.
const BACKWARD_MILLIS: i64 = 2_000;

/// A running ffmpeg with its pipes.
pub struct Running {
    /// The process.
    pub child: Child,
    /// Where IVF goes in.
    pub stdin: ChildStdin,
    /// Where the result comes out.
    pub stdout: ChildStdout,
}

/// Starts an ffmpeg for a stream of which `first` is a picture; `output` are the
/// arguments behind the input's.
///
/// # Errors
/// ffmpeg can't be started.
pub fn start(first: &Frame, output: Vec<String>) -> Result<Running, Failure> {
    let mut arguments: Vec<String> = ffmpeg::QUIET.map(str::to_owned).into();
    arguments.extend(ffmpeg::from_ivf(first.codec));
    arguments.extend(output);
    let mut child = spawn("ffmpeg", arguments, Input::Piped)?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(stdin), Some(stdout)) => {
            if first.codec == Codec::Yuv420p {
                pipe::hold_one(&stdin, first.payload_len());
            }
            Ok(Running {
                child,
                stdin,
                stdout,
            })
        }
        _ => unreachable!("both were asked to be pipes"),
    }
}

/// Why pictures no longer flow through ffmpeg.
pub enum Ended {
    /// It ended, or one of its pipes did.
    Itself,
    /// It takes key frames and makes nothing of them.
    Silent,
    /// The stream has become one that this ffmpeg was not started for.
    Changed,
}

impl Ended {
    /// What to tell of it.
    pub async fn failure(self, child: &mut Child) -> Failure {
        match self {
            Ended::Itself => ffmpeg::obituary(child).await,
            Ended::Silent => ffmpeg::explain(&child.said()).unwrap_or_else(|| {
                let reason = "ffmpeg makes no picture of what the camera sends";
                Failure::new(FailureKind::Silent, reason)
            }),
            Ended::Changed => Failure::new(
                FailureKind::Ended,
                "the camera changed its codec or its picture's size",
            ),
        }
    }
}

/// How pictures are fed.
#[derive(Clone, Copy, Debug)]
pub struct FeedOptions {
    /// Only those that a decoder can start at.
    pub key_frames: bool,
    /// A longer pause, in milliseconds, is told to ffmpeg as a short one.
    pub longest_pause: i64,
}

/// What the writing and the reading side share.
pub struct Feed {
    options: FeedOptions,
    inner: Mutex<Inner>,
}

struct Inner {
    stamps: Stamps,
    /// When the newest picture that was written was taken.
    newest: Timestamp,
    /// Key frames written since a picture last came out.
    unanswered: usize,
}

impl Feed {
    /// Nothing is written yet.
    pub fn new(options: FeedOptions) -> Self {
        Self {
            options,
            inner: Mutex::new(Inner {
                stamps: Stamps::new(options.longest_pause),
                newest: Timestamp::UNKNOWN,
                unanswered: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `first` and what follows it.
    pub async fn write(&self, stdin: &mut ChildStdin, first: Frame, input: &mut Follower) -> Ended {
        match self.write_all(stdin, first, input).await {
            Ok(ended) => ended,
            Err(_) => Ended::Itself,
        }
    }

    async fn write_all(
        &self,
        stdin: &mut ChildStdin,
        first: Frame,
        input: &mut Follower,
    ) -> io::Result<Ended> {
        stdin.write_all(&ffmpeg::ivf_header(&first)).await?;
        let begun = Kind::of(&first);
        let mut group = group_of(first, input);
        if self.options.key_frames {
            group.truncate(1);
        }
        let newest = group.last().map_or(Timestamp::UNKNOWN, Frame::taken);
        let last = group.len() - 1;
        for (at, frame) in group.into_iter().enumerate() {
            let behind = newest.micros_since(frame.taken()) / 1000;
            let millis = if at == last {
                self.lock().stamps.begin(frame.taken())
            } else {
                JOINED.saturating_sub(behind.max(1))
            };
            self.write_one(stdin, &frame, millis).await?;
        }
        loop {
            let frame = input.next().await;
            if !frame.key && self.options.key_frames {
                continue;
            }
            if frame.key && Kind::of(&frame) != begun {
                return Ok(Ended::Changed);
            }
            let millis = self.lock().stamps.next(frame.taken());
            self.write_one(stdin, &frame, millis).await?;
        }
    }

    async fn write_one(
        &self,
        stdin: &mut ChildStdin,
        frame: &Frame,
        millis: u64,
    ) -> io::Result<()> {
        {
            let mut inner = self.lock();
            inner.unanswered += usize::from(frame.key);
            inner.newest = frame.taken();
        }
        let payload = frame.payload();
        let header = ffmpeg::ivf_frame(payload.len(), millis);
        stdin.write_all_buf(&mut (&header[..]).chain(payload)).await
    }

    /// A picture has come out of ffmpeg; when the newest that went in was taken.
    pub fn answered(&self) -> Timestamp {
        let mut inner = self.lock();
        inner.unanswered = 0;
        inner.newest
    }

    /// A picture with this stamp has come out; when it was taken.
    pub fn answered_with(&self, millis: u32) -> Timestamp {
        let mut inner = self.lock();
        inner.unanswered = 0;
        inner.stamps.taken_at(millis)
    }

    /// Whether ffmpeg owes a picture.
    pub fn waits(&self) -> bool {
        self.lock().unanswered > 0
    }
}

/// What the slot holds of the newest group: `first` and what came since.
fn group_of(first: Frame, input: &mut Follower) -> Vec<Frame> {
    let mut group = vec![first];
    while let Some(frame) = input.try_next() {
        if frame.key {
            group.clear();
        }
        group.push(frame);
    }
    group
}

/// What an ffmpeg is started for: another of these needs another ffmpeg, for its
/// encoder keeps the size it began with.
#[derive(PartialEq)]
struct Kind {
    codec: Codec,
    /// The sequence parameter set, which tells the size.
    sequence: Vec<u8>,
    /// The size where there is no such set, and the length of frames that all
    /// have the same.
    size: Option<(u16, u16)>,
    len: usize,
}

impl Kind {
    fn of(frame: &Frame) -> Self {
        let payload = frame.payload();
        let sequence = annexb::sequence_parameter_set(frame.codec, &payload);
        Self {
            codec: frame.codec,
            sequence: sequence.unwrap_or_default().to_vec(),
            size: match frame.codec {
                Codec::Jpeg | Codec::Yuv420p => frame.size,
                _ => None,
            },
            len: match frame.codec {
                Codec::Yuv420p => payload.len(),
                _ => 0,
            },
        }
    }
}

/// Which stamp means which time of capture.
///
/// Stamps go the way of the capture times, to the millisecond. Where pictures
/// are reordered (B frames) both go back and forth alike.
struct Stamps {
    longest_pause: i64,
    /// A time of capture, and the stamp that stands for it.
    origin: (Timestamp, u64),
    last: u64,
    given: VecDeque<(u64, Timestamp)>,
}

impl Stamps {
    fn new(longest_pause: i64) -> Self {
        Self {
            longest_pause,
            origin: Default::default(),
            last: 0,
            given: VecDeque::new(),
        }
    }

    /// The stamp of the newest picture at the beginning.
    fn begin(&mut self, taken: Timestamp) -> u64 {
        self.origin = (taken, JOINED);
        self.give(JOINED, taken)
    }

    /// The stamp of a later picture.
    fn next(&mut self, taken: Timestamp) -> u64 {
        let since = (taken.0 as i64 - self.origin.0.0 as i64).div_euclid(1000);
        let mut millis = self.origin.1.saturating_add_signed(since);
        let step = millis as i64 - self.last as i64;
        if !(-BACKWARD_MILLIS..=self.longest_pause).contains(&step) {
            // The clock was set, or nothing came for long: the filter that counts
            // the pictures must see neither.
            millis = self.last + 40;
            self.origin = (taken, millis);
        }
        while self.given.iter().rev().any(|&(given, _)| given == millis) {
            millis += 1;
        }
        self.give(millis, taken)
    }

    fn give(&mut self, millis: u64, taken: Timestamp) -> u64 {
        if self.given.len() == REMEMBERED {
            self.given.pop_front();
        }
        self.given.push_back((millis, taken));
        self.last = millis;
        millis
    }

    /// The time of capture of the picture with this stamp, of which the lower 32
    /// bits are known.
    fn taken_at(&mut self, millis: u32) -> Timestamp {
        let found = self
            .given
            .iter()
            .position(|&(given, _)| given as u32 == millis);
        found.map_or(Timestamp::UNKNOWN, |at| self.given[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_lead_back_to_the_time_of_capture() {
        let mut stamps = Stamps::new(10_000);
        let start = 1_700_000_000_000_000;
        // In the order of decoding, as B frames have it; two nearly at once.
        let times = [0u64, 120_000, 40_000, 80_000, 240_000, 240_100, 200_000];
        let given: Vec<_> = times
            .iter()
            .enumerate()
            .map(|(at, &time)| {
                let taken = Timestamp(start + time);
                let stamp = if at == 0 {
                    stamps.begin(taken)
                } else {
                    stamps.next(taken)
                };
                (stamp, taken)
            })
            .collect();
        assert_eq!(given[0].0, JOINED);
        assert_eq!(given[1].0, JOINED + 120);
        assert_eq!(given[5].0, JOINED + 241, "no stamp twice");
        for (stamp, taken) in given {
            assert_eq!(stamps.taken_at(stamp as u32), taken);
        }
        assert_eq!(stamps.taken_at(7), Timestamp::UNKNOWN);
    }

    #[test]
    fn a_clock_that_is_set_does_not_stop_the_pictures() {
        let mut stamps = Stamps::new(10_000);
        let start = 1_700_000_000_000_000;
        stamps.begin(Timestamp(start));
        assert_eq!(stamps.next(Timestamp(start - 3_600_000_000)), JOINED + 40);
        assert_eq!(stamps.next(Timestamp(start - 3_599_900_000)), JOINED + 140);
        assert_eq!(stamps.next(Timestamp(start)), JOINED + 180);
    }
}
