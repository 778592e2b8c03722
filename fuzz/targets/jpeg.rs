//! JPEG: a stream gives the same pictures however it is split, and every picture is whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_media::jpeg::{self, Splitter};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = (usize::from(input.0) + 1, input.1);
    let _ = jpeg::size(bytes);
    let pictures = pictures(&[bytes]);
    for picture in &pictures {
        let again = jpeg::picture(picture).expect("a whole picture");
        assert_eq!(again.buffer.payload(), picture, "a picture stays the same");
        if let Some(size) = jpeg::size(picture) {
            assert_eq!(again.size, Some(size));
        }
    }
    assert_eq!(
        pictures,
        self::pictures(&bytes.chunks(cut).collect::<Vec<_>>())
    );
});

fn pictures(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut splitter = Splitter::default();
    let mut found = Vec::new();
    for mut piece in pieces.iter().copied() {
        while let Some(picture) = splitter.next_picture(&mut piece) {
            found.push(picture.buffer.payload().to_vec());
        }
    }
    found
}
