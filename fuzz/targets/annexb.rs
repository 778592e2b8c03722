//! H.264 and H.265: surveying an access unit never panics, and a raw stream gives the same
//! units however it is split, in order and without gaps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_core::Codec;
use ocelli_media::annexb::{self, Splitter};

fuzz_target!(|input: (bool, u8, &[u8])| {
    let codec = if input.0 { Codec::H264 } else { Codec::H265 };
    let (cut, bytes) = (usize::from(input.1) + 1, input.2);
    let survey = annexb::survey(codec, bytes);
    let sets = annexb::parameter_sets(codec, bytes);
    assert!(!survey.parameters || !sets.is_empty());
    assert!(annexb::sequence_parameter_sets(codec, bytes).all(|set| set.len() <= bytes.len()));
    let whole = units(codec, &[bytes]);
    assert_eq!(whole, units(codec, &bytes.chunks(cut).collect::<Vec<_>>()));
    assert!(bytes.starts_with(&whole.concat()));
});

fn units(codec: Codec, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut splitter = Splitter::new(codec);
    let mut units = Vec::new();
    for piece in pieces {
        splitter.push(piece);
        while let Some(unit) = splitter.next_unit() {
            units.push(unit.to_vec());
        }
    }
    units
}
