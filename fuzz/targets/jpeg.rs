//! JPEG: reading a header never panics on truncated input, and a stream gives the same
//! pictures however it is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_media::jpeg::{self, Splitter};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = (usize::from(input.0) + 1, input.1);
    if jpeg::complete_size(bytes).is_some() {
        assert_eq!(jpeg::complete_size(bytes), jpeg::size(bytes));
    }
    assert_eq!(
        pictures(&[bytes]),
        pictures(&bytes.chunks(cut).collect::<Vec<_>>())
    );
});

fn pictures(pieces: &[&[u8]]) -> usize {
    let mut splitter = Splitter::default();
    let mut count = 0;
    for piece in pieces {
        splitter.push(piece);
        while splitter.next_picture().is_some() {
            count += 1;
        }
    }
    count
}
