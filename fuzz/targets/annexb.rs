//! H.264 and H.265: an access unit is split before its first slice without a panic, and a raw stream gives the same
//! units however it is split, in order and without gaps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_core::Codec;
use ocelli_media::annexb::{self, Splitter};

fuzz_target!(|input: (bool, u8, &[u8])| {
    let codec = if input.0 { Codec::H264 } else { Codec::H265 };
    let (cut, bytes) = (usize::from(input.1) + 1, input.2);
    let _ = annexb::is_key(codec, bytes);
    let mut sets = annexb::all_parameter_sets(codec, bytes);
    assert!(sets.all(|set| annexb::is_parameter_set(codec, set)));
    let rest = annexb::from_first_slice(codec, bytes);
    assert!(bytes.ends_with(rest));
    assert_eq!(annexb::has_slice(codec, bytes), !rest.is_empty());
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
