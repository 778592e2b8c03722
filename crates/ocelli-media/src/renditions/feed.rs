//! Feeds a camera's native stream to an ffmpeg process. It does not choose ffmpeg's output format.
//!
//! The newest group is written to ffmpeg as IVF, with a timestamp in milliseconds for each
//! picture. If ffmpeg is too slow, the writer waits and the follower skips to the newest
//! group, so nothing queues here.

use crate::annexb;
use crate::ffmpeg;
use crate::pipe;
use crate::supervise::{Child, Input};
use bytes::Buf;
use ocelli_core::{Codec, Failure, FailureKind, Follower, Frame, MediaLimits, Timestamp};
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

/// The timestamp, in milliseconds, of the newest picture at the start. The pictures before it
/// in its group are decoded because it depends on them. They are not shown, because viewers
/// would see the last seconds in fast forward.
pub const FIRST_TIMESTAMP: u64 = 1_000_000;

/// Number of timestamps that are remembered. ffmpeg never holds more pictures than this.
const MAX_REMEMBERED: usize = 512;

/// If the capture time jumps back further than this, timestamps continue from the last one.
const MAX_BACKWARD_MILLIS: i64 = 2_000;

/// A running ffmpeg with its pipes.
pub struct Running {
    /// The process.
    pub child: Child,
    /// Input, as IVF.
    pub stdin: ChildStdin,
    /// Output.
    pub stdout: ChildStdout,
}

/// Starts an ffmpeg for the stream that `first` belongs to. `output` are the arguments after
/// the input arguments.
///
/// # Errors
/// ffmpeg can't be started.
pub fn start(first: &Frame, output: Vec<String>, limits: &MediaLimits) -> Result<Running, Failure> {
    let mut arguments = ffmpeg::from_ivf(first.codec);
    arguments.extend(output);
    let mut child = ffmpeg::start(arguments, Input::Piped, &limits.picture)?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(stdin), Some(stdout)) => {
            if first.codec == Codec::Yuv420p {
                pipe::fit_raw_picture(&stdin, first.payload_len());
            }
            Ok(Running {
                child,
                stdin,
                stdout,
            })
        }
        _ => unreachable!("both were configured as pipes"),
    }
}

/// Reason why an ffmpeg run has ended.
pub enum Ended {
    /// ffmpeg exited or closed a pipe.
    Exited,
    /// ffmpeg produced no output for a picture in time.
    Overdue,
    /// The stream's codec or size changed, and this ffmpeg can't handle the new one.
    Changed,
}

impl Ended {
    /// Returns the failure to report.
    pub async fn failure(self, child: &mut Child, limits: &MediaLimits) -> Failure {
        match self {
            Ended::Exited => ffmpeg::exit_failure(child, &limits.picture).await,
            Ended::Overdue => {
                let failure = ffmpeg::explain_stderr(&child.stderr_tail(), &limits.picture);
                let reason = failure.map_or_else(
                    || {
                        let seconds = limits.picture_time.as_secs_f64();
                        format!(
                            "ffmpeg made no picture from the camera's stream within {seconds} s \
                             (picture_time in [limits])"
                        )
                    },
                    |failure| failure.reason,
                );
                Failure::new(FailureKind::Silent, reason)
            }
            Ended::Changed => Failure::new(
                FailureKind::Ended,
                "the camera changed its codec or picture size",
            ),
        }
    }
}

/// Options of a feed.
#[derive(Clone, Copy, Debug)]
pub struct FeedOptions {
    /// Whether to feed only key frames.
    pub key_frames: bool,
    /// Whether ffmpeg accepts a change of the picture's size. It does if its output has a fixed
    /// size, except for raw pictures.
    pub any_size: bool,
    /// Longest pause in the timestamps, in milliseconds. A longer one is replaced by a short one.
    pub longest_pause: i64,
    /// Milliseconds after the last output picture within which ffmpeg may drop a picture.
    pub min_interval: f64,
    /// How long ffmpeg may take for a picture.
    pub picture_time: Duration,
}

/// State shared by the writing and the reading side.
pub struct Feed {
    options: FeedOptions,
    inner: Mutex<Inner>,
    /// Notified when an output picture becomes due.
    output_due: Notify,
}

struct Inner {
    timestamps: TimestampMap,
    /// Capture time of the newest picture written.
    newest: Timestamp,
    /// Timestamp of the newest picture that ffmpeg must output.
    expected: u64,
    /// Time since which that picture, or one before it, has been due.
    due_since: Option<Instant>,
    /// Timestamp of the newest output picture.
    last_output: Option<f64>,
}

impl Feed {
    /// Creates a feed to which nothing has been written yet.
    pub fn new(options: FeedOptions) -> Self {
        Self {
            options,
            inner: Mutex::new(Inner {
                timestamps: TimestampMap::new(options.longest_pause),
                newest: Timestamp::UNKNOWN,
                expected: 0,
                due_since: None,
                last_output: None,
            }),
            output_due: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `first` and the pictures that follow it.
    pub async fn write(&self, stdin: &mut ChildStdin, first: Frame, input: &mut Follower) -> Ended {
        match self.write_all(stdin, first, input).await {
            Ok(ended) => ended,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ended::Overdue,
            Err(_) => Ended::Exited,
        }
    }

    async fn write_all(
        &self,
        stdin: &mut ChildStdin,
        first: Frame,
        input: &mut Follower,
    ) -> io::Result<Ended> {
        stdin.write_all(&ffmpeg::ivf_header(&first)).await?;
        let any_size = self.options.any_size;
        let format = StreamFormat::of(&first, any_size);
        let mut group = group_of(first, input);
        if self.options.key_frames {
            group.truncate(1);
        }
        let newest = group.last().map_or(Timestamp::UNKNOWN, Frame::taken);
        let last = group.len() - 1;
        // ffmpeg must output the newest of them, and must decode all before it first.
        self.expect_output(FIRST_TIMESTAMP);
        for (at, frame) in group.into_iter().enumerate() {
            let behind = newest.micros_since(frame.taken()) / 1000;
            let millis = if at == last {
                self.lock().timestamps.begin(frame.taken())
            } else {
                FIRST_TIMESTAMP.saturating_sub(behind.max(1))
            };
            self.write_one(stdin, &frame, millis).await?;
        }
        loop {
            let frame = input.next().await;
            if !frame.key && self.options.key_frames {
                continue;
            }
            if frame.key && StreamFormat::of(&frame, any_size) != format {
                return Ok(Ended::Changed);
            }
            let millis = self.lock().timestamps.next(frame.taken());
            // ffmpeg may hold other pictures back until the ones they depend on arrive.
            if frame.key {
                self.expect_output(millis);
            }
            self.write_one(stdin, &frame, millis).await?;
        }
    }

    async fn write_one(
        &self,
        stdin: &mut ChildStdin,
        frame: &Frame,
        millis: u64,
    ) -> io::Result<()> {
        self.lock().newest = frame.taken();
        let payload = frame.payload();
        let header = ffmpeg::ivf_frame(payload.len(), millis);
        let mut picture = (&header[..]).chain(payload);
        // A stuck ffmpeg stops reading. A raw picture is longer than its pipe, so this write
        // would block before a later picture becomes due: it needs its own timeout.
        let time = self.time(self.lock().last_output.is_some());
        let started = Instant::now();
        match timeout(time / 2, stdin.write_all_buf(&mut picture)).await {
            Ok(written) => written,
            Err(_) => {
                self.expect_output_since(started);
                // What was already written is no longer in `picture`.
                timeout(time / 2, stdin.write_all_buf(&mut picture)).await?
            }
        }
    }

    /// Notes that ffmpeg has read nothing since then, so a picture is due.
    fn expect_output_since(&self, started: Instant) {
        let mut inner = self.lock();
        if inner.due_since.is_none() {
            inner.due_since = Some(started);
            self.output_due.notify_one();
        }
    }

    /// Returns how long ffmpeg may take for a picture. The first may take twice as long, because
    /// the program has to start.
    fn time(&self, started: bool) -> Duration {
        match started {
            true => self.options.picture_time,
            false => self.options.picture_time * 2,
        }
    }

    /// Notes that a picture is about to be written. It is due as output unless it is too close
    /// to the last one.
    fn expect_output(&self, millis: u64) {
        let mut inner = self.lock();
        let min_interval = self.options.min_interval;
        let beyond = |last_output| millis as f64 > last_output + min_interval;
        if !inner.last_output.is_none_or(beyond) {
            return;
        }
        inner.expected = inner.expected.max(millis);
        if inner.due_since.is_none() {
            inner.due_since = Some(Instant::now());
            self.output_due.notify_one();
        }
    }

    /// Notes the output picture that is shown `millis` after the first one. Returns the capture
    /// time of the newest input picture.
    pub fn output_after(&self, millis: f64) -> Timestamp {
        let mut inner = self.lock();
        inner.record_output(FIRST_TIMESTAMP as f64 + millis, self.options.min_interval);
        inner.newest
    }

    /// Notes the output picture whose timestamp has these lower 32 bits. Returns its capture
    /// time.
    pub fn output_with_timestamp(&self, millis: u32) -> Timestamp {
        let mut inner = self.lock();
        let found = inner.timestamps.find(millis);
        let (stamp, taken) = found.unwrap_or((inner.expected, Timestamp::UNKNOWN));
        inner.record_output(stamp as f64, self.options.min_interval);
        taken
    }

    /// Waits until ffmpeg has taken too long for a picture, because the decoder is overloaded or
    /// produces no output for its input. Calls `late` with the time that has passed when half of
    /// it is over.
    pub async fn overdue(&self, late: impl Fn(Duration)) -> Ended {
        loop {
            let (due_since, last_output) = {
                let inner = self.lock();
                (inner.due_since, inner.last_output.is_some())
            };
            let Some(since) = due_since else {
                self.output_due.notified().await;
                continue;
            };
            let time = self.time(last_output);
            sleep_until(since + time / 2).await;
            if self.lock().due_since != due_since {
                continue;
            }
            late(time / 2);
            sleep_until(since + time).await;
            if self.lock().due_since == due_since {
                return Ended::Overdue;
            }
        }
    }
}

impl Inner {
    /// Notes the output picture with this timestamp. No picture before it is due any more.
    fn record_output(&mut self, stamp: f64, min_interval: f64) {
        self.last_output = Some(stamp);
        let all = stamp + min_interval >= self.expected as f64;
        self.due_since = (!all).then(Instant::now);
    }
}

/// Returns the newest group in the slot, beginning with `first` or with a later key frame.
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

/// Stream properties that an ffmpeg is started for. A change needs a new ffmpeg: an encoder
/// without a fixed size keeps its initial one.
#[derive(PartialEq)]
struct StreamFormat {
    codec: Codec,
    /// The sequence parameter set, which contains the size.
    sequence: Vec<u8>,
    /// The size of streams without such a set, and the length of frames of fixed length.
    size: Option<(u16, u16)>,
    len: usize,
}

impl StreamFormat {
    fn of(frame: &Frame, any_size: bool) -> Self {
        let payload = frame.payload();
        let sequence = match any_size {
            true => None,
            false => annexb::sequence_parameter_sets(frame.codec, &payload).next(),
        };
        Self {
            codec: frame.codec,
            sequence: sequence.unwrap_or_default().to_vec(),
            size: match frame.codec {
                Codec::Yuv420p => frame.size,
                Codec::Jpeg if !any_size => frame.size,
                _ => None,
            },
            len: match frame.codec {
                Codec::Yuv420p => payload.len(),
                _ => 0,
            },
        }
    }
}

/// Mapping between timestamps given to ffmpeg and capture times.
///
/// Timestamps follow the capture times to the millisecond. Where pictures are reordered
/// (B frames), both go back and forth in the same way.
struct TimestampMap {
    longest_pause: i64,
    /// A capture time and the timestamp it corresponds to.
    origin: (Timestamp, u64),
    last: u64,
    entries: VecDeque<(u64, Timestamp)>,
}

impl TimestampMap {
    fn new(longest_pause: i64) -> Self {
        Self {
            longest_pause,
            origin: Default::default(),
            last: 0,
            entries: VecDeque::new(),
        }
    }

    /// Returns the timestamp of the newest picture at the start.
    fn begin(&mut self, taken: Timestamp) -> u64 {
        self.origin = (taken, FIRST_TIMESTAMP);
        self.record(FIRST_TIMESTAMP, taken)
    }

    /// Returns the timestamp of a later picture.
    fn next(&mut self, taken: Timestamp) -> u64 {
        let since = (taken.0 as i64 - self.origin.0.0 as i64).div_euclid(1000);
        let mut millis = self.origin.1.saturating_add_signed(since);
        let step = millis as i64 - self.last as i64;
        if !(-MAX_BACKWARD_MILLIS..=self.longest_pause).contains(&step) {
            // The clock was set, or the stream paused for long. ffmpeg's frame rate filter must
            // see neither.
            millis = self.last + 40;
            self.origin = (taken, millis);
        }
        while self.entries.iter().rev().any(|&(found, _)| found == millis) {
            millis += 1;
        }
        self.record(millis, taken)
    }

    fn record(&mut self, millis: u64, taken: Timestamp) -> u64 {
        if self.entries.len() == MAX_REMEMBERED {
            self.entries.pop_front();
        }
        self.entries.push_back((millis, taken));
        self.last = millis;
        millis
    }

    /// Returns the timestamp with these lower 32 bits, and its capture time.
    fn find(&self, millis: u32) -> Option<(u64, Timestamp)> {
        let mut entries = self.entries.iter();
        entries.find(|&&(found, _)| found as u32 == millis).copied()
    }
}

#[cfg(test)]
mod tests;
