//! HTTP cameras that deviate from the standards. Each is a script of exact bytes, and the
//! pictures that must arrive are compared byte for byte.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod multipart;
mod script;
mod sign_in;
mod stills;
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
