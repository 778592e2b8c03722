//! Muxer for fragmented MP4 (ISO/IEC 14496-12, 8.8) of a live stream, for one viewer.
//!
//! Each access unit becomes one fragment, as soon as it is there: waiting for the next one would
//! add its interval to the delay. So the duration in a fragment is an estimate, and the decode
//! time in the next fragment corrects it.
//!
//! The parameter sets stay in the pictures, and the sample entry says so (`avc3`, `hev1`), so a
//! camera can change its size without a new beginning. Another codec would need one.
//!
//! [`boxes`] takes any number of tracks; only video is filled in here.

mod boxes;
#[cfg(test)]
mod tests;
mod timeline;
mod video;

use crate::annexb;
use bytes::Bytes;
use ocelli_core::{Codec, Frame};
use timeline::{Placed, Timeline};

/// The type of H.264's IDR slices.
const H264_IDR: u8 = 5;
/// The types of H.265's leading pictures: RADL and RASL.
const H265_LEADING: std::ops::RangeInclusive<u8> = 6..=9;

/// The stream of one viewer.
pub struct Muxer {
    codec: Codec,
    timeline: Timeline,
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
    /// Starts a stream with this key frame. Returns the beginning of the file; the frame itself is
    /// not in it. Returns `None` for a frame without the parameter sets that a file must have.
    pub fn start(frame: &Frame) -> Option<(Self, Bytes)> {
        let payload = frame.payload();
        let description = video::describe(frame.codec, &payload).filter(|_| frame.key)?;
        let header = boxes::header(&[description.track])?;
        let muxer = Self {
            codec: frame.codec,
            timeline: Timeline::new(description.reordered),
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
