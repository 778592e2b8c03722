//! What a camera says in RTSP: the same messages and packets come however the stream is
//! cut, and what they hold is read without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_media::sources::rtsp::items;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = (usize::from(input.0) + 1, input.1);
    let pieces: Vec<_> = bytes.chunks(cut).collect();
    assert_eq!(items(&[bytes]), items(&pieces));
});
