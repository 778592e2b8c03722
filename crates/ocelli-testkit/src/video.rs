//! H.264 for load: encoded once by ffmpeg, and stamped again each time it is sent.
//!
//! The stamp is in an SEI message in front of each picture, so that it can be read without
//! decoding, and decoders ignore it.

use crate::Result;
use crate::jpeg::{Stamp, now_micros};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Identifies the SEI message (`user_data_unregistered`).
const UUID: &[u8; 16] = b"ocelli-load-mark";
/// NAL unit type SEI, payload type 5, payload length, UUID.
const STAMP_AT: usize = 3 + UUID.len();
/// Time and sequence number, and the last four bytes of the picture, so that a truncated unit is
/// recognized. As hexadecimal digits, which contain no start code.
const STAMP_LENGTH: usize = 16 + 16 + 8;
/// The number of bytes that the stamp repeats.
const TAIL: usize = 4;
/// How far from the beginning of a unit its stamp may be: after the parameter sets, or after the
/// header of a fragment of MP4.
const SEARCHED: usize = 1024;
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// The shortest recording in seconds. It is repeated without end.
const SHORTEST: u32 = 4;

/// Parameters of the video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Video {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Frame rate.
    pub fps: u32,
    /// Bitrate in kbit/s.
    pub kilobits: u32,
    /// Pictures from one key frame to the next.
    pub group: u32,
}

impl Video {
    /// 1080p at 15 fps and 4 Mbit/s, with a key frame every two seconds.
    pub const FULL_HD: Self = Self {
        width: 1920,
        height: 1080,
        fps: 15,
        kilobits: 4000,
        group: 30,
    };
    /// 720p at 15 fps and 2 Mbit/s, with a key frame every two seconds.
    pub const HD: Self = Self {
        width: 1280,
        height: 720,
        fps: 15,
        kilobits: 2000,
        group: 30,
    };
}

/// An access unit: its NAL units, without start codes and without SEI.
pub struct Unit {
    /// Whether a decoder can start here.
    pub is_key: bool,
    /// The NAL units.
    pub nals: Vec<Vec<u8>>,
}

impl Unit {
    /// Returns the position at which the SEI message belongs: after the parameter sets.
    fn stamp_index(&self) -> usize {
        let sets = self.nals.iter().take_while(|nal| is_parameter_set(nal));
        sets.count()
    }

    /// Returns the NAL units, with a stamp of the current time.
    pub fn stamped(&self, sequence: u64) -> Vec<Vec<u8>> {
        let mut nals = self.nals.clone();
        let mut sei = vec![6, 5, (UUID.len() + STAMP_LENGTH) as u8];
        sei.extend_from_slice(UUID);
        let stamp = Stamp {
            micros: now_micros(),
            sequence,
        };
        sei.extend(encode_stamp(stamp));
        let last = nals.last().map_or(&[][..], |nal| &nal[..]);
        for byte in &last[last.len().saturating_sub(TAIL)..] {
            sei.extend(format!("{byte:02x}").into_bytes());
        }
        sei.push(0x80);
        nals.insert(self.stamp_index(), sei);
        nals
    }
}

/// A unit in Annex B that is stamped again each time it is sent.
pub struct StampedUnit {
    bytes: Vec<u8>,
    stamp_at: usize,
}

impl StampedUnit {
    /// Creates the unit.
    pub fn new(unit: &Unit) -> Self {
        let (mut bytes, mut stamp_at) = (Vec::new(), 0);
        for (index, nal) in unit.stamped(0).iter().enumerate() {
            bytes.extend(START_CODE);
            if index == unit.stamp_index() {
                stamp_at = bytes.len() + STAMP_AT;
            }
            bytes.extend(nal);
        }
        Self { bytes, stamp_at }
    }

    /// Returns the bytes, stamped with the current time.
    pub fn now(&mut self, sequence: u64) -> &[u8] {
        let stamp = encode_stamp(Stamp {
            micros: now_micros(),
            sequence,
        });
        self.bytes[self.stamp_at..self.stamp_at + stamp.len()].copy_from_slice(&stamp);
        &self.bytes
    }
}

fn encode_stamp(stamp: Stamp) -> Vec<u8> {
    format!("{:016x}{:016x}", stamp.micros, stamp.sequence).into_bytes()
}

/// Returns the stamp of a complete access unit that was sent by this module, in Annex B or at the
/// end of a fragment of MP4. Otherwise `None`.
pub fn stamp(unit: &[u8]) -> Option<Stamp> {
    let searched = &unit[..unit.len().min(SEARCHED)];
    let at = searched.windows(UUID.len()).position(|own| own == UUID)? + UUID.len();
    let digits = std::str::from_utf8(unit.get(at..at + STAMP_LENGTH)?).ok()?;
    let number = |from: usize, to: usize| u64::from_str_radix(digits.get(from..to)?, 16).ok();
    let tail = u32::try_from(number(32, 40)?).ok()?;
    unit.ends_with(&tail.to_be_bytes()).then_some(Stamp {
        micros: number(0, 16)?,
        sequence: number(16, 32)?,
    })
}

/// Encoded video in a temporary file, which is removed when the recording is dropped.
pub struct Recording {
    video: Video,
    units: Vec<Unit>,
    file: PathBuf,
}

impl Recording {
    /// Encodes a moving test picture with noise: whole groups, at least four seconds. Takes a few
    /// seconds.
    ///
    /// # Errors
    /// Returns an error if ffmpeg with libx264 is missing or fails.
    pub fn encode(video: Video) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ocelli-recording-{}-{number}.h264", std::process::id());
        let file = std::env::temp_dir().join(name);
        let Video {
            width,
            height,
            fps,
            kilobits,
            group,
        } = video;
        let count = (SHORTEST * fps).div_ceil(group) * group;
        let input = format!("testsrc2=size={width}x{height}:rate={fps},noise=alls=20:allf=t");
        let output = format!(
            "-frames:v {count} -pix_fmt yuv420p -c:v libx264 -preset veryfast -tune zerolatency \
             -threads 1 -x264-params sliced-threads=0 -bf 0 -g {group} -keyint_min {group} \
             -sc_threshold 0 -b:v {kilobits}k -maxrate {kilobits}k -bufsize {}k -f h264",
            kilobits / 2
        );
        let result = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", &input])
            .args(output.split(' '))
            .arg(&file)
            .output()?;
        let mut recording = Self {
            video,
            units: Vec::new(),
            file,
        };
        if !result.status.success() {
            let text = String::from_utf8_lossy(&result.stderr);
            return Err(format!("ffmpeg can't encode H.264: {}", text.trim()).into());
        }
        recording.units = units(&fs::read(&recording.file)?);
        recording.check(count as usize)?;
        Ok(recording)
    }

    fn check(&self, count: usize) -> Result<()> {
        let group = self.video.group.max(1) as usize;
        let keys = self.units.iter().map(|unit| unit.is_key);
        let is_regular = keys.enumerate().all(|(at, key)| key == (at % group == 0));
        let tails = self.units.iter().map(|unit| unit.nals.last());
        let has_tails = tails.into_iter().flatten().all(|nal| nal.len() > TAIL);
        match self.units.len() == count && is_regular && has_tails {
            true => Ok(()),
            false => Err("the recording does not consist of the requested groups".into()),
        }
    }

    /// The parameters of the video.
    pub fn video(&self) -> Video {
        self.video
    }

    /// The file: H.264 in Annex B.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The access units. There is at least one, and the first is a key frame.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// Splits H.264 in Annex B into access units, and omits SEI and delimiters.
pub fn units(stream: &[u8]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut is_complete = true;
    for nal in nals(stream) {
        let kind = nal[0] & 0x1F;
        let is_slice = matches!(kind, 1 | 5);
        // The first bit of a slice is set in the first slice of a picture.
        let begins = match is_slice {
            true => nal.get(1).is_some_and(|byte| byte & 0x80 != 0),
            false => is_parameter_set(nal),
        };
        if !is_slice && !begins {
            continue;
        }
        if begins && is_complete {
            units.push(Unit {
                is_key: false,
                nals: Vec::new(),
            });
        }
        is_complete = is_slice;
        if let Some(unit) = units.last_mut() {
            unit.is_key |= kind == 5;
            unit.nals.push(nal.to_vec());
        }
    }
    units
}

/// Splits Annex B at its start codes.
fn nals(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    while at + 3 <= stream.len() {
        if stream[at..at + 3] == START_CODE[1..] {
            starts.push(at + 3);
            at += 3;
        } else {
            at += 1;
        }
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|start| start - 3).collect();
    let ends = ends.into_iter().chain([stream.len()]);
    starts.into_iter().zip(ends).filter_map(|(start, end)| {
        let mut nal = stream.get(start..end)?;
        while let [rest @ .., 0] = nal {
            nal = rest;
        }
        (!nal.is_empty()).then_some(nal)
    })
}

fn is_parameter_set(nal: &[u8]) -> bool {
    nal.first()
        .is_some_and(|first| matches!(first & 0x1F, 7 | 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtsp_media::{KEY, PPS, SECOND, SPS, THIRD};

    fn stream(nals: &[&[u8]]) -> Vec<u8> {
        let nals = nals.iter().map(|nal| [&START_CODE[..], nal].concat());
        nals.collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_stream_is_split_into_access_units() {
        let sei: &[u8] = &[6, 5, 1, 1, 0x80];
        let units = units(&stream(&[SPS, PPS, sei, KEY, SECOND, THIRD, SPS, PPS, KEY]));
        let kinds: Vec<_> = units
            .iter()
            .map(|unit| (unit.is_key, unit.nals.len()))
            .collect();
        assert_eq!(kinds, [(true, 3), (false, 1), (false, 1), (true, 3)]);
        assert_eq!(units[1].nals, [SECOND]);
    }

    #[test]
    fn stamps_are_read_only_from_complete_units_and_contain_no_start_code() {
        for unit in units(&stream(&[SPS, PPS, KEY, SECOND])) {
            let mut stamped = StampedUnit::new(&unit);
            for sequence in [0, 1, 0x0000_0103, u64::MAX] {
                let before = now_micros();
                let bytes = stamped.now(sequence).to_vec();
                let read = stamp(&bytes).expect("a stamp");
                assert_eq!(read.sequence, sequence);
                assert!((before..=now_micros()).contains(&read.micros));
                assert_eq!(stamp(&bytes[..bytes.len() - 1]), None);
                let parts: Vec<_> = nals(&bytes).collect();
                assert_eq!(parts.len(), unit.nals.len() + 1);
                assert_eq!(parts[unit.stamp_index()].len(), STAMP_AT + STAMP_LENGTH + 1);
            }
        }
    }
}
