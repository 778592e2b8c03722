//! RTSP from a camera: the messages and packets are the same however the stream is split, and
//! reading their contents never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_media::sources::rtsp::items;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = (usize::from(input.0) + 1, input.1);
    let pieces: Vec<_> = bytes.chunks(cut).collect();
    assert_eq!(items(&[bytes]), items(&pieces));
});
