//! Counts of a fleet's frames and connections.

use super::keys::Counts;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Counts of a fleet's frames and connections.
#[derive(Default)]
pub struct Tally {
    connected: AtomicU64,
    handshakes: AtomicU64,
    failed: AtomicU64,
    sent: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    /// The number of closes by close code and the hub's reason.
    closes: Mutex<BTreeMap<(u16, String), u64>>,
}

impl Tally {
    /// Counts a connected device until the returned guard is dropped.
    pub fn connect(&self) -> Connected<'_> {
        self.connected.fetch_add(1, Relaxed);
        self.handshakes.fetch_add(1, Relaxed);
        Connected(self)
    }

    /// Counts a failed connection attempt.
    pub fn fail(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// Counts a sent frame of this size.
    pub fn send(&self, bytes: usize) {
        self.sent.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts frames that were not sent because the device could not keep its rate.
    pub fn skip(&self, frames: u64) {
        self.skipped.fetch_add(frames, Relaxed);
    }

    /// Counts a close by the hub.
    pub fn close(&self, code: u16, error_code: &str) {
        let mut closes = self.closes.lock().unwrap_or_else(PoisonError::into_inner);
        *closes.entry((code, error_code.to_owned())).or_default() += 1;
    }

    /// The number of connected devices.
    pub fn connected(&self) -> u64 {
        self.connected.load(Relaxed)
    }

    /// The number of successful handshakes.
    pub fn handshakes(&self) -> u64 {
        self.handshakes.load(Relaxed)
    }

    /// The number of sent frames.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// The progress in one line.
    pub fn line(&self, devices: u32, rate: f64) -> String {
        format!(
            "{} of {devices} connected, {rate:.0} frames per second, {} sent, {} skipped, {} closed by the hub",
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

    /// The final report.
    pub fn report(&self, devices: u32, connected: u64, hub: Option<Counts>) -> String {
        let mut text = format!(
            "connected   {connected} of {devices} at the end; {} times in total, {} attempts failed\n\
             sent        {} frames, {} kB\n\
             skipped     {} frames by devices that could not keep their rate\n",
            self.handshakes(),
            self.failed.load(Relaxed),
            self.sent(),
            self.bytes.load(Relaxed) / 1000,
            self.skipped.load(Relaxed),
        );
        // Writing to a string cannot fail.
        if let Some(hub) = hub {
            let _ = writeln!(
                text,
                "dropped     {} frames by the hub above its rate, {} messages that were not JPEGs; \
                 {} published (only connections that are still open)",
                hub.above_rate, hub.not_jpeg, hub.frames
            );
        }
        let closes = self.closes.lock().unwrap_or_else(PoisonError::into_inner);
        if closes.is_empty() {
            text.push_str("closed      none by the hub\n");
        }
        for ((code, error_code), count) in closes.iter() {
            let _ = writeln!(text, "closed      {count} with {code} {error_code}");
        }
        text
    }
}

/// Guard for a connected device.
pub struct Connected<'t>(&'t Tally);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Relaxed);
    }
}
