//! Muxer for fragmented MP4 (ISO/IEC 14496-12, 8.8) of a live stream, for one viewer.
//!
//! Each access unit becomes one fragment, as soon as it is there: waiting for the next one would
//! add its interval to the delay. So the duration in a fragment is an estimate, and the decode
//! time in the next fragment corrects it.
//!
//! The parameter sets stay in the pictures, and the sample entry says so (`avc3`, `hev1`), so a
//! camera can change its size without a new beginning. Another codec would need one.
//!
//! Sound in AAC is a second track on the same timeline. Where pictures have a jump, sound is left
//! out until it belongs to pictures again.

mod boxes;
mod sound;
#[cfg(test)]
mod tests;
mod timeline;
mod video;

use crate::annexb;
use bytes::Bytes;
use ocelli_core::{Codec, Frame, SoundFormat, Timestamp};
use sound::Sound;
use timeline::{Placed, Timeline};

/// The type of H.264's IDR slices.
const H264_IDR: u8 = 5;
/// The types of H.265's leading pictures: RADL and RASL.
const H265_LEADING: std::ops::RangeInclusive<u8> = 6..=9;

/// The stream of one viewer.
pub struct Muxer {
    codec: Codec,
    timeline: Timeline,
    sound: Option<Sound>,
    /// The number of the last fragment.
    fragment: u32,
    /// The sequence number of the last frame.
    last: Option<u32>,
    /// The key frame after which leading pictures are left out.
    joined: Option<Joined>,
}

/// A key frame whose preceding pictures the viewer did not get.
struct Joined {
    taken: u64,
    is_idr: bool,
}

impl Muxer {
    /// Starts a stream with this key frame, and with a sound track if the format is that of AAC.
    /// Returns the beginning of the file; the frame itself is not in it. Returns `None` for a frame
    /// without the parameter sets that a file must have.
    pub fn start(frame: &Frame, sound: Option<&SoundFormat>) -> Option<(Self, Bytes)> {
        let payload = frame.payload();
        let description = video::describe(frame.codec, &payload).filter(|_| frame.key)?;
        let (sound, track) = sound.and_then(Sound::new).unzip();
        let tracks: Vec<_> = [Some(description.track), track]
            .into_iter()
            .flatten()
            .collect();
        let header = boxes::header(&tracks)?;
        let muxer = Self {
            codec: frame.codec,
            timeline: Timeline::new(description.reordered),
            sound,
            fragment: 0,
            last: None,
            joined: None,
        };
        Some((muxer, header))
    }

    /// Whether a frame of this codec can follow.
    pub fn continues_with(&self, codec: Codec) -> bool {
        self.codec == codec
    }

    /// Returns the next unit of sound, recorded at `captured`, as a fragment. Returns `None` for a
    /// unit that has no place: in a stream without sound, in another format, or before or after a
    /// jump of the pictures.
    pub fn sound_fragment(
        &mut self,
        captured: Timestamp,
        unit: &[u8],
        format: &SoundFormat,
    ) -> Option<Bytes> {
        let sound = self.sound.as_mut();
        let sound = sound.filter(|sound| sound.continues_with(format))?;
        let sample = sound.place(self.timeline.time_of(captured.0)?)?;
        self.fragment = self.fragment.wrapping_add(1);
        boxes::fragment(self.fragment, sample, &unit)
    }

    /// Returns the next frame as a fragment. Returns `None` for a frame that no decoder could use,
    /// because it refers to frames that the viewer did not get.
    pub fn fragment(&mut self, frame: &Frame) -> Option<Bytes> {
        let payload = frame.payload();
        let follows = !frame.discontinuity
            && self.last.map(|last| last.wrapping_add(1)) == Some(frame.sequence);
        self.last = Some(frame.sequence);
        let taken = frame.taken().0;
        if frame.key {
            if let Some(reordered) = video::reordered(self.codec, &payload) {
                self.timeline.declare(reordered);
            }
            self.joined = (!follows).then(|| Joined {
                taken,
                is_idr: annexb::first_slice_kind(self.codec, &payload) == Some(H264_IDR),
            });
        } else if self.is_leading(taken, &payload) {
            return None;
        }
        let Placed {
            decode,
            offset,
            duration,
        } = self.timeline.place(taken, follows);
        self.fragment = self.fragment.wrapping_add(1);
        let sample = boxes::Sample {
            track: video::TRACK,
            decode,
            offset,
            duration,
            key: frame.key,
        };
        boxes::fragment(self.fragment, sample, &video::SampleData::of(&payload))
    }

    /// Whether this is shown before the key frame at which the viewer joined. Such pictures may
    /// refer to pictures before the key frame. None follow an IDR picture of H.264.
    fn is_leading(&self, taken: u64, payload: &[u8]) -> bool {
        let Some(joined) = &self.joined else {
            return false;
        };
        match self.codec {
            Codec::H264 => !joined.is_idr && taken < joined.taken,
            codec => annexb::first_slice_kind(codec, payload)
                .is_some_and(|kind| H265_LEADING.contains(&kind)),
        }
    }
}
