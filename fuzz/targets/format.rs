//! Raw H.264 or H.265 from a program: the pictures are the same however the input is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_core::Codec;
use ocelli_media::sources::bare_pictures;

fuzz_target!(|input: (bool, u8, &[u8])| {
    let codec = if input.0 { Codec::H264 } else { Codec::H265 };
    let (cut, bytes) = (usize::from(input.1) + 1, input.2);
    let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
    let whole = bare_pictures(codec, &[bytes]);
    assert_eq!(whole, bare_pictures(codec, &pieces));
    let total: usize = whole.iter().flatten().sum();
    // The output exceeds the input only by parameter sets repeated before key frames.
    assert!(total <= bytes.len() * (bytes.len() + 1));
});
