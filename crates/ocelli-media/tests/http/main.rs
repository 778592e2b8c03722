//! HTTP cameras that deviate from the standards. Each is a script of exact bytes, and the
//! pictures that must arrive are compared byte for byte.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod multipart;
mod script;
mod sign_in;
mod stills;
mod tables;
mod transport;

use ocelli_testkit::jpeg::Picture;

/// Returns a picture that differs from those with other numbers.
fn picture(number: u64) -> Vec<u8> {
    let picture = Picture {
        bytes: 3_000 + number as usize,
        ..Picture::QVGA
    };
    picture.encode_now(number).to_vec()
}

/// Returns a response with this picture.
fn still(picture: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        picture.len()
    );
    [head.as_bytes(), picture].concat()
}

/// Returns a picture with the standard Huffman tables, and the same picture without them.
fn without_tables() -> (Vec<u8>, Vec<u8>) {
    let mut complete = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut complete, 80);
    encoder.set_restart_interval(1);
    let pixels: Vec<u8> = (0..64 * 64 * 3).map(|at| (at / 97) as u8).collect();
    encoder
        .encode(&pixels, 64, 64, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    let bare = ocelli_testkit::jpeg::without_tables(&complete);
    (complete, bare)
}
