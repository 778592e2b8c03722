//! Prepares the key frames of H.264 and H.265 for decoders that start at them: their codec string,
//! and parameter sets that hold back no picture.

use crate::annexb;
use crate::parameter_set::{codec_string, without_reordering};
use ocelli_core::{Codec, FrameBuffer};
use std::sync::Arc;

/// The parameter sets of a stream, as they were in its last key frame.
pub struct KeyFrames {
    codec: Codec,
    sets: Vec<u8>,
    codec_string: Option<Arc<str>>,
    /// Sequence parameter sets to replace, and their replacements.
    replaced: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A key frame for viewers.
pub struct KeyFrame {
    /// The access unit.
    pub buffer: FrameBuffer,
    /// Its codec string, if its parameter sets can be read.
    pub codec_string: Option<Arc<str>>,
    /// Whether a decoder must be configured anew, because its parameter sets differ from those of
    /// the key frame before.
    pub is_changed: bool,
}

impl KeyFrames {
    /// Creates the state of a stream without a key frame.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            sets: Vec::new(),
            codec_string: None,
            replaced: Vec::new(),
        }
    }

    /// Prepares a key frame that has its parameter sets in front.
    pub fn prepare(&mut self, buffer: FrameBuffer) -> KeyFrame {
        let sets = annexb::parameter_sets(self.codec, buffer.payload());
        let is_new = sets != self.sets;
        let is_changed = is_new && !self.sets.is_empty();
        if is_new {
            self.learn(&sets);
            self.sets = sets;
        }
        KeyFrame {
            buffer: match self.replaced.is_empty() {
                true => buffer,
                false => self.replace(buffer.payload()),
            },
            codec_string: self.codec_string.clone(),
            is_changed,
        }
    }

    fn learn(&mut self, sets: &[u8]) {
        let sequences = || annexb::sequence_parameter_sets(self.codec, sets);
        let string = sequences().find_map(|unit| codec_string(self.codec, unit));
        let replacement = |unit: &[u8]| Some((unit.to_vec(), without_reordering(unit)?));
        let replaced = match self.codec {
            Codec::H264 => sequences().filter_map(replacement).collect(),
            _ => Vec::new(),
        };
        self.codec_string = string.map(Into::into);
        self.replaced = replaced;
    }

    /// Returns the access unit with the replaced parameter sets.
    fn replace(&self, unit: &[u8]) -> FrameBuffer {
        let added = |(before, after): &(Vec<u8>, Vec<u8>)| after.len().saturating_sub(before.len());
        let more: usize = self.replaced.iter().map(added).sum();
        let mut buffer = FrameBuffer::with_capacity(unit.len() + more);
        let mut copied = 0;
        for range in annexb::parameter_set_ranges(self.codec, unit) {
            let replaced = self.replaced.iter();
            let mut found = replaced.filter(|(before, _)| *before == unit[range.clone()]);
            if let Some((_, after)) = found.next() {
                buffer.extend_from_slice(&unit[copied..range.start]);
                buffer.extend_from_slice(after);
                copied = range.end;
            }
        }
        buffer.extend_from_slice(&unit[copied..]);
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annexb::START_CODE;

    /// A parameter set of a profile without B slices that declares reordering all the same, and a
    /// set for pictures.
    const SEQUENCE: [u8; 27] = [
        0x67, 0x64, 0x0C, 0x20, 0xAC, 0xD9, 0x40, 0x51, 0x05, 0xDF, 0x93, 0x01, 0x10, 0x00, 0x00,
        0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x00, 0xA0, 0xF1, 0x83, 0x19, 0x60,
    ];
    const PICTURE: [u8; 3] = [0x68, 0xCE, 0x80];
    const SLICE: [u8; 4] = [0x65, 0x88, 0x80, 1];

    fn access_unit(units: &[&[u8]]) -> FrameBuffer {
        let units = units.iter().map(|unit| [&START_CODE[..], unit].concat());
        FrameBuffer::copy_from(&units.collect::<Vec<_>>().concat())
    }

    #[test]
    fn the_parameter_sets_are_replaced_and_everything_else_stays() {
        let mut key_frames = KeyFrames::new(Codec::H264);
        let delimiter = [0x09, 0xF0];
        let parts: [&[u8]; 4] = [&delimiter, &SEQUENCE, &PICTURE, &SLICE];
        let rewritten = without_reordering(&SEQUENCE).expect("it is rewritten");
        let expected = access_unit(&[&delimiter, &rewritten, &PICTURE, &SLICE]);
        for _ in 0..2 {
            let key_frame = key_frames.prepare(access_unit(&parts));
            assert_eq!(key_frame.buffer.payload(), expected.payload());
            assert_eq!(key_frame.codec_string.as_deref(), Some("avc1.640c20"));
            assert!(!key_frame.is_changed);
        }
    }

    #[test]
    fn changed_parameter_sets_are_reported_once() {
        let mut key_frames = KeyFrames::new(Codec::H264);
        let mut is_changed = |picture: &[u8]| {
            let unit = access_unit(&[&SEQUENCE, picture, &SLICE]);
            key_frames.prepare(unit).is_changed
        };
        assert!(!is_changed(&PICTURE));
        assert!(is_changed(&[0x68, 0xCE, 0x40]));
        assert!(!is_changed(&[0x68, 0xCE, 0x40]));
    }
}
