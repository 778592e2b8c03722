//! Series viewers that do not read, and sources that send garbage.

use super::attack::{Attack, Bounds, MEGABYTE, Over};
use super::flood::{describe_error, flood};
use super::progress::{Pace, Progress};
use super::target::Target;
use crate::Result;
use crate::link::Link;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

const VIEWERS: usize = 120;
/// The number of series in the history, and the samples of each: as many as fit in one message.
const SERIES: usize = 40;
const SAMPLES: usize = 10_000;
/// The number of sources, and the bytes per second of all of them together.
const SOURCES: usize = 4;
const RATE: f64 = 40.0 * MEGABYTE as f64;
/// New series per second.
const NEW: f64 = 1_000.0;
const RETRY_DELAY: Duration = Duration::from_millis(100);

pub fn attacks() -> Vec<Attack> {
    let name = format!("{VIEWERS} series viewers that do not read");
    let viewers = Attack::new("series", name, unread)
        .after(|target, _| fill(target))
        // The full form lasts longer than the hub's timeout for a viewer that does not read.
        .seconds(2.0, 36.0)
        .bounds(Bounds {
            growth: 64 * MEGABYTE,
            ..Bounds::default()
        })
        .ends();
    let source = |name: &str, piece: fn() -> Vec<u8>| {
        let name = format!("{SOURCES} sources of samples: {name}");
        Attack::new("series", name, move |target, progress| {
            thread::scope(|scope| {
                for _ in 0..SOURCES {
                    scope.spawn(move || repeat(target, piece, progress));
                }
            });
            Ok(())
        })
        .over(Over::Plain)
    };
    let new = Attack::new("series", "1,000 new series per second", new_series).over(Over::Plain);
    vec![
        viewers,
        source("lines that are not samples", || {
            b"what is this? 1 2 3\n".repeat(400)
        }),
        source("empty lines", || vec![b'\n'; 8_000]).short(None),
        source("an endless name", || vec![b'a'; 8_000]),
        new.bounds(Bounds {
            keeps: true,
            ..Bounds::default()
        }),
    ]
}

fn connect(target: &Target) -> std::io::Result<Link> {
    Link::connect_from(target.new_address(), target.samples)
}

/// Sends the history.
fn fill(target: &Target) -> Result<()> {
    for series in 0..SERIES {
        let mut text = format!("history {series}\n");
        for sample in 0..SAMPLES {
            // Values that compress poorly.
            let value = (sample * 7_919 + series) % 10_007;
            writeln!(
                text,
                "{} {value}.25",
                1_700_000_000_000_u64 + sample as u64 * 1_000
            )?;
        }
        let mut link = connect(target)?;
        link.write_all(text.as_bytes())?;
        link.stream().shutdown(Shutdown::Write)?;
        // The hub closes the connection after it has read everything.
        link.set_timeout(Duration::from_secs(20));
        let mut response = Vec::new();
        link.read_to_end(&mut response)?;
    }
    Ok(())
}

fn unread(target: &Target, progress: &Progress) -> Result<()> {
    let from = target.new_address();
    let mut held = Vec::new();
    for _ in 0..VIEWERS {
        let link = target.connect(from)?;
        set_socket_recv_buffer_size(link.stream(), 4096)?;
        let time_limit = Duration::from_secs(10);
        match crate::socket::Socket::over(link, "/ws/series", "", time_limit) {
            Ok(socket) => {
                progress.connected();
                held.push(socket);
            }
            Err(error) => progress.ended(error),
        }
        if !progress.is_running() {
            return Ok(());
        }
    }
    while progress.is_running() {
        // An empty pong shows whether the connection is still open.
        held.retain_mut(
            |socket| match socket.link().push(&[0x8A, 0x80, 0, 0, 0, 0]) {
                Ok(_) => true,
                Err(error) => {
                    progress.ended(describe_error(&error));
                    false
                }
            },
        );
        progress.sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn repeat(target: &Target, piece: fn() -> Vec<u8>, progress: &Progress) {
    let mut pace = Pace::new(RATE / SOURCES as f64);
    while progress.is_running() {
        match connect(target) {
            Err(error) => progress.ended(error),
            Ok(mut link) => {
                progress.connected();
                let mut received = Vec::new();
                let taken = |bytes: &[u8]| received.extend_from_slice(bytes);
                if let Some(how) = flood(&mut link, progress, &mut pace, piece, taken) {
                    let received = String::from_utf8_lossy(&received);
                    progress.ended(received.lines().last().unwrap_or(&how));
                }
            }
        }
        progress.sleep(RETRY_DELAY);
    }
}

fn new_series(target: &Target, progress: &Progress) -> Result<()> {
    let mut pace = Pace::new(NEW);
    for number in 0_u64.. {
        if !progress.is_running() {
            break;
        }
        match connect(target) {
            Ok(mut link) => {
                progress.connected();
                let _ = link.push(format!("new {number}\n1700000000000 1\n").as_bytes());
            }
            Err(error) => progress.ended(describe_error(&error)),
        }
        pace.sent(1);
    }
    Ok(())
}
