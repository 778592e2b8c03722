//! What became of a fleet's frames and connections.

use super::keys::Counts;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// What became of a fleet's frames and connections.
#[derive(Default)]
pub struct Tally {
    connected: AtomicU64,
    handshakes: AtomicU64,
    failed: AtomicU64,
    sent: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    /// How often each close code came, with the hub's word for it.
    closes: Mutex<BTreeMap<(u16, String), u64>>,
}

impl Tally {
    /// A device was told that it may send; while the guard lives it is connected.
    pub fn connect(&self) -> Connected<'_> {
        self.connected.fetch_add(1, Relaxed);
        self.handshakes.fetch_add(1, Relaxed);
        Connected(self)
    }

    /// A device could not connect.
    pub fn fail(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// A frame of so many bytes was sent.
    pub fn send(&self, bytes: usize) {
        self.sent.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// A device could not keep to its own rate: so many frames were never sent.
    pub fn skip(&self, frames: u64) {
        self.skipped.fetch_add(frames, Relaxed);
    }

    /// The hub closed a connection.
    pub fn close(&self, code: u16, word: &str) {
        let mut closes = self.closes.lock().unwrap_or_else(PoisonError::into_inner);
        *closes.entry((code, word.to_owned())).or_default() += 1;
    }

    /// How many devices are connected.
    pub fn connected(&self) -> u64 {
        self.connected.load(Relaxed)
    }

    /// How many frames were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// How it goes just now.
    pub fn line(&self, devices: u32, rate: f64) -> String {
        format!(
            "{} of {devices} connected, {rate:.0} frames a second, {} sent, {} skipped, {} closed by the hub",
            self.connected(),
            self.sent(),
            self.skipped.load(Relaxed),
            self.closed(),
        )
    }

    fn closed(&self) -> u64 {
        let closes = self.closes.lock().unwrap_or_else(PoisonError::into_inner);
        closes.values().sum()
    }

    /// How it went.
    pub fn report(&self, devices: u32, connected: u64, hub: Option<Counts>) -> String {
        let mut text = format!(
            "connected   {connected} of {devices} in the end; {} times in all, {} attempts failed\n\
             sent        {} frames, {} kB\n\
             skipped     {} frames by devices that could not keep to their rate\n",
            self.handshakes.load(Relaxed),
            self.failed.load(Relaxed),
            self.sent(),
            self.bytes.load(Relaxed) / 1000,
            self.skipped.load(Relaxed),
        );
        // Writing to a string cannot fail.
        if let Some(hub) = hub {
            let _ = writeln!(
                text,
                "dropped     {} frames by the hub above its rate, {} messages that were no JPEG; \
                 {} shown (of the connections that lasted)",
                hub.above_rate, hub.not_jpeg, hub.frames
            );
        }
        let closes = self.closes.lock().unwrap_or_else(PoisonError::into_inner);
        if closes.is_empty() {
            text.push_str("closed      none by the hub\n");
        }
        for ((code, word), count) in closes.iter() {
            let _ = writeln!(text, "closed      {count} with {code} {word}");
        }
        text
    }
}

/// A device that is connected.
pub struct Connected<'t>(&'t Tally);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Relaxed);
    }
}
