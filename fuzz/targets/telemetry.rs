//! Input from sources of samples: the lines are the same however the input is split, and a
//! sample is two finite numbers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_series::line::{self, Lines};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = (usize::from(input.0) + 1, input.1);
    assert_eq!(
        lines(&[bytes]),
        lines(&bytes.chunks(cut).collect::<Vec<_>>())
    );
});

fn lines(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    for piece in pieces {
        let fed = lines.feed(piece, |line| {
            if let Ok(name) = line::name(line) {
                assert!(!name.is_empty() && name.len() <= line::NAME_LIMIT);
            }
            if let Some((x, y)) = line::sample(line) {
                assert!(x.is_finite() && y.is_finite());
            }
            found.push(line.to_vec());
        });
        if fed.is_err() {
            return (found, true);
        }
    }
    found.extend(lines.last());
    (found, false)
}
