//! Entry points for the fuzz targets.

use super::challenge;
use super::framing::{Framing, Taken};
use super::head::HeadReader;
use super::multipart::{Multipart, boundary};
use http_auth::PasswordParams;

/// Returns the number of parts in a multipart stream that arrives in these pieces.
pub fn multipart_parts(content_type: &str, pieces: &[&[u8]]) -> usize {
    let mut parts = Multipart::new(boundary(content_type).as_deref());
    let mut count = 0;
    for piece in pieces {
        let mut rest = *piece;
        while parts.next_part(&mut rest).is_some() {
            count += 1;
        }
    }
    count
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
                let signed = challenge(&head.headers).is_some_and(|mut signer| {
                    let requested = PasswordParams {
                        username: "viewer",
                        password: "s3cret",
                        uri: "/",
                        method: "GET",
                        body: Some(&[]),
                    };
                    signer.respond(&requested).is_ok()
                });
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
