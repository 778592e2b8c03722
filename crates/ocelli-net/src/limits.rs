//! Limits of one client and of all clients, and the cost limits of cameras.
//!
//! Each limit protects the other clients from one kind of abusive client, and is high enough for
//! normal use. Rate limits of attempts are in `throttle`, the cost limits of a viewer's commands in
//! `sinks::wall`.

use crate::throttle::AddressPrefix;
use ocelli_core::MediaLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// File descriptors reserved for cameras, child processes and the store.
const RESERVE: usize = 256;
/// Limit of connections if the system does not limit file descriptors.
const UNBOUNDED: usize = 100_000;

/// Limits of clients and cameras.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections in total.
    pub connections: usize,
    /// Connections from one address, or in IPv6 from one /64.
    pub connections_per_address: usize,
    /// Whether the limit per address also applies to clients on this machine, including local
    /// reverse proxies.
    pub loopback: bool,
    /// Requests per connection. After the last one the connection is closed, and a client opens
    /// another.
    pub requests_per_connection: u64,
    /// Longest request header, in bytes.
    pub header_size: usize,
    /// Timeout of a request header, and of an idle connection before it.
    pub header_timeout: Duration,
    /// Longest request body, in bytes.
    pub body_size: usize,
    /// Time in which a request body must arrive.
    pub body_timeout: Duration,
    /// Cost limits of cameras.
    pub media: MediaLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: connections(getrlimit(Resource::Nofile).current),
            connections_per_address: 256,
            loopback: false,
            requests_per_connection: 10_000,
            header_size: 32 * 1024,
            header_timeout: Duration::from_secs(10),
            body_size: 64 * 1024,
            body_timeout: Duration::from_secs(10),
            media: MediaLimits::default(),
        }
    }
}

/// Returns the limit of connections for this many file descriptors.
fn connections(descriptors: Option<u64>) -> usize {
    let descriptors = descriptors.and_then(|max| usize::try_from(max).ok());
    descriptors.map_or(UNBOUNDED, |max| {
        max.saturating_sub(RESERVE).clamp(64, UNBOUNDED)
    })
}

/// Raises the file descriptor limit of this process to its hard limit. Each viewer takes
/// one, and the usual limit of 1024 is low. Call it before [`Limits::default`], which depends on
/// the limit.
///
/// # Errors
/// The system refuses to raise the limit.
pub fn raise_descriptor_limit() -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(());
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// Counts connections and rejects those beyond the limits.
#[derive(Debug)]
pub struct ConnectionLimiter {
    connections: usize,
    per_address: usize,
    loopback: bool,
    open: AtomicUsize,
    by_address: Mutex<HashMap<AddressPrefix, usize>>,
}

/// The limit that a connection exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitReached {
    /// The limit per address.
    Address,
    /// The limit in total.
    Hub,
}

impl LimitReached {
    /// Returns the message for the client.
    pub fn message(self) -> &'static str {
        match self {
            LimitReached::Address => {
                "too many connections from this address; close some, or raise \
                 `connections_per_address` in [limits] of the configuration"
            }
            LimitReached::Hub => "the hub is at its limit of connections; try again later",
        }
    }
}

impl ConnectionLimiter {
    /// Creates a limiter with these limits.
    pub fn new(limits: &Limits) -> Self {
        Self {
            connections: limits.connections,
            per_address: limits.connections_per_address,
            loopback: limits.loopback,
            open: AtomicUsize::new(0),
            by_address: Mutex::default(),
        }
    }

    /// Returns the limit of connections in total.
    pub fn max(&self) -> usize {
        self.connections
    }

    /// Returns the number of open connections.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a connection until the returned value is dropped. An `exempt` connection counts
    /// towards the total but not towards its address.
    ///
    /// # Errors
    /// The connection exceeds a limit.
    pub fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        exempt: bool,
    ) -> Result<ConnectionSlot, LimitReached> {
        // One thread accepts, so no connection is counted between the check and the increment.
        if self.open() >= self.connections {
            return Err(LimitReached::Hub);
        }
        let local = address.to_canonical().is_loopback() && !self.loopback;
        let exempt = exempt || local;
        let prefix = (!exempt).then(|| AddressPrefix::from(address));
        if let Some(prefix) = prefix {
            let mut by_address = self.lock();
            let open = by_address.entry(prefix).or_default();
            if *open >= self.per_address {
                return Err(LimitReached::Address);
            }
            *open += 1;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(ConnectionSlot {
            connection_limiter: self.clone(),
            prefix,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AddressPrefix, usize>> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One counted connection. Dropping it ends the count.
#[derive(Debug)]
pub struct ConnectionSlot {
    connection_limiter: Arc<ConnectionLimiter>,
    prefix: Option<AddressPrefix>,
}

impl ConnectionSlot {
    /// Stops counting towards the address, because the peer is now identified by its key.
    pub fn exempt_from_address_limit(&mut self) {
        let Some(prefix) = self.prefix.take() else {
            return;
        };
        let mut by_address = self.connection_limiter.lock();
        if let Some(open) = by_address.get_mut(&prefix) {
            *open -= 1;
            if *open == 0 {
                by_address.remove(&prefix);
            }
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.connection_limiter.open.fetch_sub(1, Ordering::Relaxed);
        self.exempt_from_address_limit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn connection_limiter() -> Arc<ConnectionLimiter> {
        Arc::new(ConnectionLimiter::new(&Limits {
            connections: 5,
            connections_per_address: 2,
            ..Limits::default()
        }))
    }

    #[test]
    fn each_address_has_its_own_limit() {
        let connection_limiter = connection_limiter();
        let (first, second) = (address("10.0.0.1"), address("2001:db8::1"));
        let firsts = [first, first].map(|a| connection_limiter.enter(a, false).expect("a place"));
        assert_eq!(
            connection_limiter.enter(first, false).err(),
            Some(LimitReached::Address)
        );
        let _seconds =
            [second, second].map(|b| connection_limiter.enter(b, false).expect("a place"));
        let household = address("2001:db8::2");
        assert_eq!(
            connection_limiter.enter(household, false).err(),
            Some(LimitReached::Address)
        );
        drop(firsts);
        assert_eq!(connection_limiter.open(), 2);
        assert!(connection_limiter.enter(first, false).is_ok());
        // A reverse proxy carries many clients.
        let _proxy = [second, second].map(|b| connection_limiter.enter(b, true).expect("a place"));
        assert_eq!(
            connection_limiter.lock().len(),
            1,
            "closed connections are removed"
        );
    }

    #[test]
    fn an_identified_connection_counts_in_total_but_not_towards_its_address() {
        let connection_limiter = connection_limiter();
        let client = address("10.0.0.1");
        let mut slots = Vec::new();
        for _ in 0..5 {
            let mut slot = connection_limiter.enter(client, false).expect("a place");
            slot.exempt_from_address_limit();
            slots.push(slot);
        }
        assert_eq!(connection_limiter.lock().len(), 0);
        assert_eq!(
            connection_limiter.enter(client, false).err(),
            Some(LimitReached::Hub)
        );
        drop(slots);
        assert_eq!(connection_limiter.open(), 0);
    }

    #[test]
    fn the_total_is_limited() {
        let connection_limiter = connection_limiter();
        let own = address("127.0.0.1");
        let _all: Vec<_> = (0..5)
            .map(|_| connection_limiter.enter(own, false))
            .collect();
        assert_eq!(
            connection_limiter.enter(own, false).err(),
            Some(LimitReached::Hub)
        );
        assert_eq!(
            connection_limiter.enter(address("10.0.0.1"), false).err(),
            Some(LimitReached::Hub)
        );
    }

    #[test]
    fn loopback_is_limited_only_when_configured() {
        let limits = Limits {
            connections_per_address: 1,
            loopback: true,
            ..Limits::default()
        };
        let connection_limiter = Arc::new(ConnectionLimiter::new(&limits));
        let _place = connection_limiter.enter(address("::ffff:127.0.0.1"), false);
        let second = connection_limiter.enter(address("127.0.0.1"), false);
        assert_eq!(second.err(), Some(LimitReached::Address));
    }

    #[test]
    fn descriptors_are_reserved_for_cameras() {
        assert_eq!(connections(Some(1024)), 768);
        assert_eq!(connections(Some(10)), 64);
        assert_eq!(connections(None), UNBOUNDED);
    }
}
