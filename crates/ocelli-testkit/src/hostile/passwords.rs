//! Wrong passwords: the hub hashes each of them, which costs time and memory.

use super::attack::{Attack, Bounds, MEGABYTE};
use super::progress::Progress;
use super::target::Target;
use crate::Result;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

pub fn attacks() -> Vec<Attack> {
    let attack = |name: &str, addresses: usize, each: usize| {
        Attack::new("passwords", name, move |target, progress| {
            guess(target, progress, addresses, each)
        })
        .bounds(Bounds {
            // The hub hashes two at a time, 19 MiB each.
            growth: 56 * MEGABYTE,
            ..Bounds::default()
        })
    };
    vec![
        attack("20 wrong passwords", 1, 20),
        attack("100 wrong passwords from ten addresses", 10, 10),
    ]
}

/// Sends `each` guesses from each address, all at once, each for a different user name.
fn guess(target: &Target, progress: &Progress, addresses: usize, each: usize) -> Result<()> {
    static NAMES: AtomicU64 = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..addresses {
            let from = target.new_address();
            for _ in 0..each {
                scope.spawn(move || {
                    let number = NAMES.fetch_add(1, Ordering::Relaxed);
                    let body = format!(r#"{{"name":"user{number}","password":"wrong-{number}"}}"#);
                    progress.connected();
                    match target.call(from, "POST /api/v1/session", "", &body) {
                        Ok((status, _)) => progress.ended(format!("status {status}")),
                        Err(error) => progress.ended(error),
                    }
                });
            }
        }
    });
    Ok(())
}
