//! Entry points for the fuzz targets.

use super::framing::{Framing, Taken};
use super::head::HeadReader;
use super::multipart::{Multipart, boundary};
use super::sign_in::Signer;
use crate::sources::Credentials;

/// Returns the lengths of the pictures in a multipart stream that arrives in these pieces.
pub fn multipart_pictures(content_type: &str, pieces: &[&[u8]]) -> Vec<usize> {
    let mut parts = Multipart::new(boundary(content_type).as_deref());
    let mut found = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while let Some(picture) = parts.next_picture(&mut rest) {
            found.push(picture.buffer.len());
        }
        let _ = parts.fault();
    }
    found
}

/// Parses a response that arrives in these pieces. Returns its status, whether its challenge can
/// be answered, and the body so far, or `None` if the response is rejected.
pub fn read_response(pieces: &[&[u8]]) -> Option<(u16, bool, Vec<u8>)> {
    let mut reader = HeadReader::default();
    let mut framing = None;
    let mut response = (0, false, Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        let body = match &mut framing {
            Some(body) => body,
            None => {
                let Some(head) = reader.take(&mut rest).ok()? else {
                    continue;
                };
                let credentials = Credentials {
                    user: "viewer".into(),
                    password: "s3cret".into(),
                };
                let signed = Signer::new(&head.headers)
                    .is_ok_and(|mut signer| signer.authorization(&credentials, "/").is_some());
                (response.0, response.1) = (head.status.as_u16(), signed);
                framing.insert(Framing::of(&head))
            }
        };
        loop {
            match body.take(&mut rest).ok()? {
                Taken::Data(len) => {
                    let end = piece.len() - rest.len();
                    response.2.extend_from_slice(&piece[end - len..end]);
                }
                Taken::Nothing => break,
                Taken::End => return Some(response),
            }
        }
    }
    Some(response)
}
