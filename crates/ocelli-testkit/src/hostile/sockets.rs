//! Anonymous WebSocket viewers that flood the hub with messages, most of them empty.

use super::attack::{Attack, MEGABYTE, Transport};
use super::flood::{Frames, flood};
use super::progress::{Pace, Progress};
use super::target::Target;
use crate::Result;
use crate::wire::frame;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

/// The number of sockets.
const SOCKETS: usize = 4;
/// Bytes per second of all sockets together.
const RATE: f64 = 40.0 * MEGABYTE as f64;
/// Bytes per write.
const PIECE: usize = 16 * 1024;
/// The pause before a closed socket is opened again.
const RETRY_DELAY: Duration = Duration::from_millis(100);

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;
const WALL: &str = "/ws/cameras";
const SERIES: &str = "/ws/series";
const CAMERA: &str = "/live/ws?app=live&room=cam1";
const V2: &str = "Sec-WebSocket-Protocol: ocelli.v2\r\n";

/// What a socket sends.
struct Kind {
    name: &'static str,
    path: &'static str,
    /// Additional header lines of the upgrade request.
    more: &'static str,
    /// Sent once.
    opening: Vec<u8>,
    /// Sent repeatedly.
    frames: Vec<u8>,
}

fn kind(name: &'static str, path: &'static str, more: &'static str, frames: Vec<u8>) -> Kind {
    Kind {
        name,
        path,
        more,
        opening: Vec::new(),
        frames,
    }
}

pub fn attacks() -> Vec<Attack> {
    let subscribe = |cameras: &str| {
        let text = format!(r#"{{"cmd":"subscribe","cameras":[{cameras}]}}"#);
        frame(TEXT, text.as_bytes())
    };
    let many: Vec<_> = (0..8_000).map(|number| format!("\"{number}\"")).collect();
    let kinds = [
        kind("empty pings", WALL, "", frame(PING, b"")),
        kind("empty pongs", WALL, V2, frame(PONG, b"")),
        kind("full pings", CAMERA, "", frame(PING, &[b'p'; 125])),
        kind("empty texts to /live/ws", CAMERA, "", frame(TEXT, b"")),
        kind("empty requests to /ws/series", SERIES, "", frame(TEXT, b"")),
        kind("empty commands, plain", WALL, "", frame(TEXT, b"")),
        kind("empty commands, v2", WALL, V2, frame(TEXT, b"")),
        kind(
            "ping commands",
            WALL,
            V2,
            frame(TEXT, br#"{"cmd":"ping","t":1}"#),
        ),
        kind(
            "lists of cameras, plain",
            WALL,
            "",
            subscribe(&many.join(",")),
        ),
        kind("lists of cameras, v2", WALL, V2, subscribe(&many.join(","))),
        kind("subscriptions to all", WALL, V2, subscribe("\"*\"")),
        Kind {
            opening: frame(0x01, b"x"),
            ..kind("empty fragments", WALL, "", frame(0x00, b""))
        },
        kind("closes", CAMERA, "", frame(CLOSE, b"")),
    ];
    kinds
        .into_iter()
        .enumerate()
        .map(|(number, kind)| {
            let short = [Transport::Plain, Transport::Tls][number % 2];
            let name = format!("{SOCKETS} sockets that send {}", kind.name);
            // A few messages are enough for the hub to close these sockets.
            let ends = matches!(kind.name, "empty pings" | "empty texts to /live/ws");
            let attack = Attack::new("sockets", name, move |target, progress| {
                let kind = &kind;
                thread::scope(|scope| {
                    for _ in 0..SOCKETS {
                        let from = target.new_address();
                        scope.spawn(move || repeat(kind, target, from, progress));
                    }
                });
                Ok(())
            })
            .short(Some(short));
            if ends { attack.ends() } else { attack }
        })
        .collect()
}

/// Reconnects whenever the hub has closed the socket.
fn repeat(kind: &Kind, target: &Target, from: Ipv4Addr, progress: &Progress) {
    while progress.is_running() {
        if let Err(error) = once(kind, target, from, progress) {
            progress.ended(error);
        }
        progress.sleep(RETRY_DELAY);
    }
}

fn once(kind: &Kind, target: &Target, from: Ipv4Addr, progress: &Progress) -> Result<()> {
    let mut socket = target.socket(from, kind.path, kind.more)?;
    progress.connected();
    if !kind.opening.is_empty() {
        socket.raw(&kind.opening)?;
    }
    let piece = kind.frames.repeat((PIECE / kind.frames.len()).max(1));
    let (mut pace, mut frames) = (Pace::new(RATE / SOCKETS as f64), Frames::default());
    let ended = flood(
        socket.link(),
        progress,
        &mut pace,
        || piece.clone(),
        |bytes| frames.take(bytes),
    );
    if let Some(how) = ended {
        progress.ended(frames.ending(how));
    }
    Ok(())
}
