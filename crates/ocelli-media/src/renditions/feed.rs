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
pub fn start(first: &Frame, output: Vec<String>, limits: &MediaLimits) -> Result<Running, Failure> {
    let mut arguments = ffmpeg::from_ivf(first.codec);
    arguments.extend(output);
    let mut child = ffmpeg::start(arguments, Input::Piped, &limits.picture)?;
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
    /// It took a picture and made nothing of it in time.
    Overdue,
    /// The stream has become one that this ffmpeg was not started for.
    Changed,
}

impl Ended {
    /// What to tell of it.
    pub async fn failure(self, child: &mut Child, limits: &MediaLimits) -> Failure {
        match self {
            Ended::Itself => ffmpeg::exit_failure(child, &limits.picture).await,
            Ended::Overdue => {
                let said = ffmpeg::explain(&child.said(), &limits.picture);
                let reason = said.map_or_else(
                    || {
                        let seconds = limits.picture_time.as_secs_f64();
                        format!(
                            "ffmpeg made no picture of what the camera sends within {seconds} s \
                             (picture_time in [limits])"
                        )
                    },
                    |failure| failure.reason,
                );
                Failure::new(FailureKind::Silent, reason)
            }
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
    /// A picture this near to the last that came out, in milliseconds, may be left out.
    pub apart: f64,
    /// How long ffmpeg may take over a picture.
    pub picture_time: Duration,
}

/// What the writing and the reading side share.
pub struct Feed {
    options: FeedOptions,
    inner: Mutex<Inner>,
    /// Told when ffmpeg comes to owe a picture.
    owing: Notify,
}

struct Inner {
    stamps: Stamps,
    /// When the newest picture that was written was taken.
    newest: Timestamp,
    /// The stamp of the newest picture that has to come out.
    asked: u64,
    /// Since when ffmpeg has owed that picture or one before it.
    owed: Option<Instant>,
    /// The stamp of the newest picture that has come out.
    answered: Option<f64>,
}

impl Feed {
    /// Nothing is written yet.
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

    /// Writes `first` and what follows it.
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
        // The newest of them has to come out, and all before it to be decoded.
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
            // Those between key frames may wait inside for the ones they depend on.
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
        // One that stands still takes nothing: a raw picture is longer than its pipe, so no
        // later one would be asked for.
        let time = self.time(self.lock().answered.is_some());
        timeout(time, stdin.write_all_buf(&mut picture)).await?
    }

    /// How long ffmpeg may take over a picture: over the first twice as long, for then the
    /// program has to start.
    fn time(&self, answered: bool) -> Duration {
        match answered {
            true => self.options.picture_time,
            false => self.options.picture_time * 2,
        }
    }

    /// A picture is about to be written, which has to come out unless it is too near to
    /// the last one.
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

    /// The picture that is shown `millis` after the first has come out; when the newest
    /// that went in was taken.
    pub fn answered_after(&self, millis: f64) -> Timestamp {
        let mut inner = self.lock();
        inner.answer(JOINED as f64 + millis, self.options.apart);
        inner.newest
    }

    /// A picture with this stamp, of which the lower 32 bits are known, has come out;
    /// when it was taken.
    pub fn answered_with(&self, millis: u32) -> Timestamp {
        let mut inner = self.lock();
        let given = inner.stamps.given_as(millis);
        let (stamp, taken) = given.unwrap_or((inner.asked, Timestamp::UNKNOWN));
        inner.answer(stamp as f64, self.options.apart);
        taken
    }

    /// Returns when ffmpeg has taken too long over a picture: the decoder is kept busy,
    /// or makes nothing of what it is given.
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
    /// The picture with this stamp has come out, and none before it will.
    fn answer(&mut self, stamp: f64, apart: f64) {
        self.answered = Some(stamp);
        let all = stamp + apart >= self.asked as f64;
        self.owed = (!all).then(Instant::now);
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

    /// The stamp of which the lower 32 bits are these, and the time of capture that it
    /// stands for.
    fn given_as(&self, millis: u32) -> Option<(u64, Timestamp)> {
        let mut given = self.given.iter();
        given.find(|&&(given, _)| given as u32 == millis).copied()
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

    /// Seconds until it is overdue.
    async fn overdue(feed: &Feed) -> u64 {
        let begun = Instant::now();
        feed.overdue().await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_has_its_time_and_the_first_has_twice_as_much() {
        let feed = feed(0.0);
        feed.ask(JOINED);
        assert_eq!(overdue(&feed).await, 20);
        feed.answered_after(0.0);
        feed.ask(JOINED + 40);
        assert_eq!(overdue(&feed).await, 10);
        // One comes out, and the next has its time from then on.
        feed.ask(JOINED + 80);
        feed.answered_after(40.0);
        assert_eq!(overdue(&feed).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_owed_of_a_camera_that_sends_nothing() {
        let feed = feed(180.0);
        feed.ask(JOINED);
        feed.answered_after(0.0);
        // Too near to the last one: the filter leaves it out.
        feed.ask(JOINED + 150);
        feed.answered_after(0.0);
        let waited = tokio::time::timeout(Duration::from_secs(3600), feed.overdue());
        assert!(waited.await.is_err());
        feed.ask(JOINED + 200);
        assert_eq!(overdue(&feed).await, 10);
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
