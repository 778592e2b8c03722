//! Multipart streams from cameras: the pictures are the same however the stream is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_media::sources::multipart_pictures;

fuzz_target!(|input: (u8, &str, &[u8])| {
    let (cut, content_type, bytes) = input;
    let whole = multipart_pictures(content_type, &[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(cut) + 1).collect();
    assert_eq!(whole, multipart_pictures(content_type, &pieces));
});
