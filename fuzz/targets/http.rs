//! Responses from HTTP cameras: head, challenge and body are the same however the input is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_media::sources::read_response;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = (usize::from(input.0) + 1, input.1);
    let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
    assert_eq!(read_response(&[bytes]), read_response(&pieces));
});
