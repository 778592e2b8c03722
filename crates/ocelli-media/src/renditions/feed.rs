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
pub const JOINED: u64 = 1_000_000;

/// Number of timestamps that are remembered. ffmpeg never holds more pictures than this.
const REMEMBERED: usize = 512;

/// If the capture time jumps back further than this, timestamps continue from the last one.
const BACKWARD_MILLIS: i64 = 2_000;

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
    Itself,
    /// ffmpeg produced no output for a picture in time.
    Overdue,
    /// The stream's codec or size changed, and this ffmpeg can't handle the new one.
    Changed,
}

impl Ended {
    /// Returns the failure to report.
    pub async fn failure(self, child: &mut Child, limits: &MediaLimits) -> Failure {
        match self {
            Ended::Itself => ffmpeg::exit_failure(child, &limits.picture).await,
            Ended::Overdue => {
                let said = ffmpeg::explain(&child.said(), &limits.picture);
                let reason = said.map_or_else(
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
    /// Longest pause in the timestamps, in milliseconds. A longer one is replaced by a short one.
    pub longest_pause: i64,
    /// Milliseconds after the last output picture within which ffmpeg may drop a picture.
    pub apart: f64,
    /// How long ffmpeg may take for a picture.
    pub picture_time: Duration,
}

/// State shared by the writing and the reading side.
pub struct Feed {
    options: FeedOptions,
    inner: Mutex<Inner>,
    /// Notified when an output picture becomes due.
    owing: Notify,
}

struct Inner {
    stamps: Stamps,
    /// Capture time of the newest picture written.
    newest: Timestamp,
    /// Timestamp of the newest picture that ffmpeg must output.
    asked: u64,
    /// Time since which that picture, or one before it, has been due.
    owed: Option<Instant>,
    /// Timestamp of the newest output picture.
    answered: Option<f64>,
}

impl Feed {
    /// Creates a feed to which nothing has been written yet.
    pub fn new(options: FeedOptions) -> Self {
        Self {
            options,
            inner: Mutex::new(Inner {
                stamps: Stamps::new(options.longest_pause),
                newest: Timestamp::UNKNOWN,
                asked: 0,
                owed: None,
                answered: None,
            }),
            owing: Notify::new(),
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
        // ffmpeg must output the newest of them, and must decode all before it first.
        self.ask(JOINED);
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
            // ffmpeg may hold other pictures back until the ones they depend on arrive.
            if frame.key {
                self.ask(millis);
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
        let time = self.time(self.lock().answered.is_some());
        timeout(time, stdin.write_all_buf(&mut picture)).await?
    }

    /// Returns how long ffmpeg may take for a picture. The first may take twice as long, because
    /// the program has to start.
    fn time(&self, answered: bool) -> Duration {
        match answered {
            true => self.options.picture_time,
            false => self.options.picture_time * 2,
        }
    }

    /// Notes that a picture is about to be written. It is due as output unless it is too close
    /// to the last one.
    fn ask(&self, millis: u64) {
        let mut inner = self.lock();
        let apart = self.options.apart;
        let beyond = |answered| millis as f64 > answered + apart;
        if !inner.answered.is_none_or(beyond) {
            return;
        }
        inner.asked = inner.asked.max(millis);
        if inner.owed.is_none() {
            inner.owed = Some(Instant::now());
            self.owing.notify_one();
        }
    }

    /// Notes the output picture that is shown `millis` after the first one. Returns the capture
    /// time of the newest input picture.
    pub fn answered_after(&self, millis: f64) -> Timestamp {
        let mut inner = self.lock();
        inner.answer(JOINED as f64 + millis, self.options.apart);
        inner.newest
    }

    /// Notes the output picture whose timestamp has these lower 32 bits. Returns its capture
    /// time.
    pub fn answered_with(&self, millis: u32) -> Timestamp {
        let mut inner = self.lock();
        let given = inner.stamps.given_as(millis);
        let (stamp, taken) = given.unwrap_or((inner.asked, Timestamp::UNKNOWN));
        inner.answer(stamp as f64, self.options.apart);
        taken
    }

    /// Waits until ffmpeg has taken too long for a picture, because the decoder is overloaded or
    /// produces no output for its input.
    pub async fn overdue(&self) -> Ended {
        loop {
            let (owed, answered) = {
                let inner = self.lock();
                (inner.owed, inner.answered.is_some())
            };
            let Some(since) = owed else {
                self.owing.notified().await;
                continue;
            };
            sleep_until(since + self.time(answered)).await;
            if self.lock().owed == owed {
                return Ended::Overdue;
            }
        }
    }
}

impl Inner {
    /// Notes the output picture with this timestamp. No picture before it is due any more.
    fn answer(&mut self, stamp: f64, apart: f64) {
        self.answered = Some(stamp);
        let all = stamp + apart >= self.asked as f64;
        self.owed = (!all).then(Instant::now);
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

/// Stream properties that an ffmpeg is started for. A change needs a new ffmpeg, because the
/// encoder keeps its initial size.
#[derive(PartialEq)]
struct Kind {
    codec: Codec,
    /// The sequence parameter set, which contains the size.
    sequence: Vec<u8>,
    /// The size of streams without such a set, and the length of frames of fixed length.
    size: Option<(u16, u16)>,
    len: usize,
}

impl Kind {
    fn of(frame: &Frame) -> Self {
        let payload = frame.payload();
        let sequence = annexb::sequence_parameter_sets(frame.codec, &payload).next();
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

/// Mapping between timestamps given to ffmpeg and capture times.
///
/// Timestamps follow the capture times to the millisecond. Where pictures are reordered
/// (B frames), both go back and forth in the same way.
struct Stamps {
    longest_pause: i64,
    /// A capture time and the timestamp it corresponds to.
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

    /// Returns the timestamp of the newest picture at the start.
    fn begin(&mut self, taken: Timestamp) -> u64 {
        self.origin = (taken, JOINED);
        self.give(JOINED, taken)
    }

    /// Returns the timestamp of a later picture.
    fn next(&mut self, taken: Timestamp) -> u64 {
        let since = (taken.0 as i64 - self.origin.0.0 as i64).div_euclid(1000);
        let mut millis = self.origin.1.saturating_add_signed(since);
        let step = millis as i64 - self.last as i64;
        if !(-BACKWARD_MILLIS..=self.longest_pause).contains(&step) {
            // The clock was set, or the stream paused for long. ffmpeg's frame rate filter must
            // see neither.
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

    /// Returns the timestamp with these lower 32 bits, and its capture time.
    fn given_as(&self, millis: u32) -> Option<(u64, Timestamp)> {
        let mut given = self.given.iter();
        given.find(|&&(given, _)| given as u32 == millis).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_map_back_to_capture_times() {
        let mut stamps = Stamps::new(10_000);
        let start = 1_700_000_000_000_000;
        // In decoding order with B frames; two are almost simultaneous.
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
        assert_eq!(given[5].0, JOINED + 241, "timestamps are unique");
        for (stamp, taken) in given {
            assert_eq!(stamps.given_as(stamp as u32), Some((stamp, taken)));
        }
        assert_eq!(stamps.given_as(7), None);
    }

    fn feed(apart: f64) -> Feed {
        Feed::new(FeedOptions {
            key_frames: false,
            longest_pause: 10_000,
            apart,
            picture_time: Duration::from_secs(10),
        })
    }

    /// Returns the seconds until the feed is overdue.
    async fn overdue(feed: &Feed) -> u64 {
        let begun = Instant::now();
        feed.overdue().await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_is_overdue_after_its_time_and_the_first_after_twice_that() {
        let feed = feed(0.0);
        feed.ask(JOINED);
        assert_eq!(overdue(&feed).await, 20);
        feed.answered_after(0.0);
        feed.ask(JOINED + 40);
        assert_eq!(overdue(&feed).await, 10);
        // After an output picture, the time of the next one starts.
        feed.ask(JOINED + 80);
        feed.answered_after(40.0);
        assert_eq!(overdue(&feed).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_overdue_while_the_camera_sends_nothing() {
        let feed = feed(180.0);
        feed.ask(JOINED);
        feed.answered_after(0.0);
        // Too close to the last one: the filter drops it.
        feed.ask(JOINED + 150);
        feed.answered_after(0.0);
        let waited = tokio::time::timeout(Duration::from_secs(3600), feed.overdue());
        assert!(waited.await.is_err());
        feed.ask(JOINED + 200);
        assert_eq!(overdue(&feed).await, 10);
    }

    #[test]
    fn setting_the_clock_does_not_stop_the_pictures() {
        let mut stamps = Stamps::new(10_000);
        let start = 1_700_000_000_000_000;
        stamps.begin(Timestamp(start));
        assert_eq!(stamps.next(Timestamp(start - 3_600_000_000)), JOINED + 40);
        assert_eq!(stamps.next(Timestamp(start - 3_599_900_000)), JOINED + 140);
        assert_eq!(stamps.next(Timestamp(start)), JOINED + 180);
    }
}
