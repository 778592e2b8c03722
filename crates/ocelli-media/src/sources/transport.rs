//! Publishes the H.264 or H.265 stream in an MPEG transport stream as it is, with its sound.

use super::capture_clock::CaptureClock;
use super::pace::{MAX_FPS, Pace, WithoutPicture};
use super::parameter_sets::{ParameterSets, UndecodableKeys};
use super::transport_sound::Sound;
use crate::annexb;
use crate::mpegts::{Demuxer, Event, SoundKind};
use ocelli_core::{
    BudgetExceeded, Codec, Failure, FailureKind, Metered, PeerKind, Publisher, Timestamp,
};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;
/// The most bytes that are read to find the table of streams. Broadcasts repeat it every 0.1 to
/// 0.5 s.
const MAX_HEAD: usize = 4 << 20;
/// A key frame that is this much earlier or later than the pictures before it, in µs, does not
/// continue them: a recording starts again, or was interrupted. Pictures in decoding order step
/// back by less.
const MAX_STEP_BACK: i64 = 1_000_000;
const MAX_STEP: i64 = 10_000_000;

/// The most bytes of units in front of a picture that arrive in packets of their own.
const MAX_FRONT: usize = 64 << 10;

/// How a transport stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds another codec, or pictures in parts. ffmpeg can decode both.
    NotNative,
    /// Its sound has another codec than AAC and Opus. Not returned for other programs than ffmpeg.
    OtherSound,
    /// It ended, after pictures or without any.
    Ended {
        /// Whether pictures were published.
        had_pictures: bool,
    },
}

/// The beginning of a transport stream.
#[derive(Debug)]
pub struct Head {
    /// The bytes up to the table of its streams, and a few more.
    pub bytes: Vec<u8>,
    /// Whether it announces H.264 or H.265.
    pub is_native: bool,
}

impl Head {
    /// Reads a transport stream until its streams are known. A stream without a readable table
    /// does not count as native.
    ///
    /// # Errors
    /// The stream exceeds a program's budget.
    pub async fn read(
        input: impl AsyncRead + Unpin,
        publisher: &Publisher,
    ) -> Result<Self, Failure> {
        let mut input = Metered::new(input, publisher.budget(PeerKind::Program));
        let mut demuxer = Demuxer::new(false);
        let mut bytes = Vec::new();
        let mut is_native = false;
        while bytes.len() < MAX_HEAD {
            let start = bytes.len();
            bytes.reserve(CHUNK);
            let mut limited = (&mut input).take(CHUNK as u64);
            match limited.read_buf(&mut bytes).await {
                Ok(1..) => {}
                Ok(0) => break,
                Err(error) => match BudgetExceeded::cause_of(&error) {
                    Some(exceeded) => return Err(exceeded.into()),
                    None => break,
                },
            }
            demuxer.push(&bytes[start..]);
            if let Some(event) = demuxer.next_event() {
                is_native = matches!(event, Event::Streams { video: Some(_), .. });
                break;
            }
        }
        Ok(Self { bytes, is_native })
    }
}

/// What has written a transport stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// ffmpeg: each packet of the elementary stream is an access unit, and its end is padded.
    Ffmpeg,
    /// Another program. Its packets may hold less than an access unit: parameter sets in packets
    /// of their own are joined with the picture after them. The parts of a picture are not joined,
    /// because only the next packet would show that it is complete.
    Program,
}

/// Publishes the pictures of a transport stream and its sound, until it ends or is seen to be not
/// native. Calls `on_picture` for each picture.
///
/// # Errors
/// No decoder can decode the stream, or it exceeds a program's budget.
pub async fn publish(
    input: impl AsyncRead + Unpin,
    writer: Writer,
    publisher: &Publisher,
    on_picture: &mut (dyn FnMut() + Send),
) -> Result<Outcome, Failure> {
    let mut input = Metered::new(input, publisher.budget(PeerKind::Program));
    let mut demuxer = Demuxer::new(writer == Writer::Ffmpeg);
    let mut pictures: Option<Pictures> = None;
    let mut sound = Sound::default();
    let mut pace = Pace::new(MAX_FPS);
    let mut without = WithoutPicture::default();
    let mut chunk = vec![0; CHUNK];
    let mut had_pictures = false;
    loop {
        let len = match input.read(&mut chunk).await {
            Ok(0) => return Ok(Outcome::Ended { had_pictures }),
            Ok(len) => len,
            Err(error) => match BudgetExceeded::cause_of(&error) {
                Some(exceeded) => return Err(exceeded.into()),
                None => return Ok(Outcome::Ended { had_pictures }),
            },
        };
        if without.add(len) {
            let reason = "its output is not video";
            return Err(Failure::new(FailureKind::Unsupported, reason));
        }
        demuxer.push(&chunk[..len]);
        while let Some(event) = demuxer.next_event() {
            input.budget().charge_messages(1);
            let (stamp, bytes) = match event {
                Event::Streams { video: None, .. } => {
                    publisher.set_sound(None);
                    return Ok(Outcome::NotNative);
                }
                Event::Streams {
                    sound: Some(SoundKind::Other),
                    ..
                } if writer == Writer::Ffmpeg => return Ok(Outcome::OtherSound),
                Event::Streams {
                    video: Some(codec),
                    sound: kind,
                } => {
                    if pictures.as_ref().is_none_or(|known| known.codec != codec) {
                        pictures = Some(Pictures::new(codec));
                    }
                    sound.set_kind(kind, publisher);
                    continue;
                }
                Event::Sound { stamp, bytes } => {
                    let last = pictures.as_ref().and_then(|pictures| pictures.last);
                    sound.publish(stamp, bytes, last, publisher);
                    input.budget().ready().await?;
                    continue;
                }
                Event::Unit { stamp, bytes } => (stamp, bytes),
            };
            let Some(pictures) = &mut pictures else {
                continue;
            };
            if writer == Writer::Program && annexb::begins_inside(pictures.codec, bytes) {
                publisher.set_sound(None);
                return Ok(Outcome::NotNative);
            }
            if pictures.publish(stamp, bytes, publisher)? {
                had_pictures = true;
                on_picture();
                without.reset();
                pace.wait().await;
            }
            input.budget().ready().await?;
        }
    }
}

/// The pictures of one elementary stream.
struct Pictures {
    codec: Codec,
    sets: ParameterSets,
    clock: CaptureClock,
    /// The time of the last picture, in µs, and its capture time.
    last: Option<(i64, Timestamp)>,
    /// Units that belong to the next picture, and their time.
    front: Vec<u8>,
    front_stamp: Option<i64>,
    undecodable: UndecodableKeys,
}

impl Pictures {
    fn new(codec: Codec) -> Self {
        Self {
            codec,
            sets: ParameterSets::new(codec),
            clock: CaptureClock::default(),
            last: None,
            front: Vec::new(),
            front_stamp: None,
            undecodable: UndecodableKeys::default(),
        }
    }

    /// Publishes an access unit. Returns whether it was published.
    fn publish(
        &mut self,
        stamp: Option<i64>,
        bytes: &[u8],
        publisher: &Publisher,
    ) -> Result<bool, Failure> {
        if !annexb::has_slice(self.codec, bytes) {
            if self.front.len() + bytes.len() <= MAX_FRONT {
                self.front.extend_from_slice(bytes);
                self.front_stamp = self.front_stamp.or(stamp);
            }
            return Ok(false);
        }
        let stamp = stamp.or(self.front_stamp.take());
        let mut unit = if self.front.is_empty() {
            self.sets.complete(bytes)
        } else {
            self.front.extend_from_slice(bytes);
            self.sets.complete(&std::mem::take(&mut self.front))
        };
        if unit.key && !self.sets.is_complete() {
            self.undecodable.add()?;
            return Ok(false);
        }
        let mut captured = Timestamp::UNKNOWN;
        if let Some(stamp) = stamp {
            let micros = stamp.saturating_mul(100) / 9;
            captured = self.clock.captured(micros, publisher.now());
            let step = micros - self.last.map_or(micros, |(last, _)| last);
            if unit.key && !(-MAX_STEP_BACK..=MAX_STEP).contains(&step) {
                unit.is_new_stream = true;
            }
            self.last = Some((micros, captured));
        }
        unit.publish(self.codec, captured, self.sets.size(), publisher);
        Ok(true)
    }
}
