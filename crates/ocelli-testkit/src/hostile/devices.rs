//! Devices that push too much, or messages that never end.

use super::attack::{Attack, MEGABYTE, Transport};
use super::flood::{Frames, flood, listen, send};
use super::progress::{Pace, Progress};
use super::target::Target;
use crate::Result;
use crate::jpeg::Picture;
use crate::socket::Socket;
use crate::wire::frame;
use std::thread;
use std::time::Duration;

/// The number of devices.
const DEVICES: usize = 4;
/// Bytes per second of all devices together.
const RATE: f64 = 40.0 * MEGABYTE as f64;
/// Pictures per second: ten times the default `max_fps`.
const PICTURES: f64 = 150.0;
const RETRY_DELAY: Duration = Duration::from_millis(200);

const BINARY: u8 = 0x82;
const FRAGMENT_START: u8 = 0x02;
const FRAGMENT_CONTINUATION: u8 = 0x00;
const PING: u8 = 0x89;
const TEXT: u8 = 0x81;

/// What a device sends once it is ready: `opening` once, then `again` repeatedly, at `rate`
/// bytes per second.
struct Kind {
    name: &'static str,
    opening: Vec<u8>,
    again: Vec<u8>,
    rate: f64,
}

pub fn attacks() -> Vec<Attack> {
    let picture = Picture::QVGA.encode_now(0);
    let whole = frame(BINARY, &picture);
    let half = frame(BINARY, &picture[..picture.len() / 2]);
    let share = RATE / DEVICES as f64;
    let kind = |name, again: Vec<u8>| Kind {
        name,
        opening: Vec::new(),
        again: again.repeat((8_000 / again.len()).max(1)),
        rate: share,
    };
    let long = frame(BINARY, &[0; 200_000]);
    let kinds = [
        Kind {
            rate: PICTURES * whole.len() as f64,
            ..kind("push at ten times their rate", whole)
        },
        kind("send empty pings", frame(PING, b"")),
        kind("send meaningless texts", frame(TEXT, b"{}")),
        kind("send truncated pictures", half),
        Kind {
            opening: frame(FRAGMENT_START, b"\xFF\xD8"),
            ..kind(
                "send a message that never ends",
                frame(FRAGMENT_CONTINUATION, &[0; 1_000]),
            )
        },
        Kind {
            opening: frame(FRAGMENT_START, b""),
            ..kind("send empty fragments", frame(FRAGMENT_CONTINUATION, b""))
        },
        Kind {
            opening: long[..long.len() / 2].to_vec(),
            again: Vec::new(),
            rate: share,
            name: "stop in the middle of a message",
        },
    ];
    kinds
        .into_iter()
        .map(|kind| {
            let name = format!("{DEVICES} devices that {}", kind.name);
            let pings = kind.again.starts_with(&[PING]);
            let attack = Attack::new("devices", name, move |target, progress| {
                let keys =
                    (1..=DEVICES).map(|number| target.create_key(&format!("hostile-{number}")));
                let keys: Vec<_> = keys.collect::<Result<_>>()?;
                thread::scope(|scope| {
                    for key in &keys {
                        scope.spawn(|| {
                            while progress.is_running() {
                                if let Err(error) = once(&kind, target, &key.path, progress) {
                                    progress.ended(error);
                                }
                                progress.sleep(RETRY_DELAY);
                            }
                        });
                    }
                });
                Ok(())
            })
            .short(Some(Transport::Tls));
            if pings { attack.ends() } else { attack }
        })
        .collect()
}

/// Connects a device and waits for the hub's `ready`.
pub fn ready(target: &Target, path: &str) -> Result<Socket> {
    let mut socket = target.socket(target.new_address(), path, "")?;
    match socket.message()? {
        (false, text) if text.starts_with(br#"{"type":"ready""#) => Ok(socket),
        (_, text) => Err(String::from_utf8_lossy(&text).into()),
    }
}

fn once(kind: &Kind, target: &Target, path: &str, progress: &Progress) -> Result<()> {
    let mut socket = ready(target, path)?;
    progress.connected();
    let (mut pace, mut frames) = (Pace::new(kind.rate), Frames::default());
    let link = socket.link();
    let mut ended = send(link, progress, &mut pace, &kind.opening, |bytes| {
        frames.take(bytes)
    });
    if ended.is_none() {
        ended = match kind.again.is_empty() {
            true => listen(link, progress, |bytes| frames.take(bytes)),
            false => flood(
                link,
                progress,
                &mut pace,
                || kind.again.clone(),
                |bytes| frames.take(bytes),
            ),
        };
    }
    if let Some(how) = ended {
        progress.ended(frames.ending(how));
    }
    Ok(())
}
