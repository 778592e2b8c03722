//! How much one client, and all of them, may take of the hub, and what cameras may cost.
//!
//! Each limit keeps one kind of client from harming the others; none is so low that
//! somebody who means well meets it.
//!
//! What does not belong here: how often somebody may guess (`auth::Throttle`), and what
//! one viewer's commands may cost (`sinks::wall`).

use crate::throttle::Block;
use ocelli_core::MediaLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Descriptors that are not for connections: cameras, children, the store.
const RESERVE: usize = 256;
/// How many connections there may be where the system sets no bound.
const UNBOUNDED: usize = 100_000;

/// What clients may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address, or in IPv6 from one /64.
    pub connections_per_address: usize,
    /// Whether that holds for clients on this machine too, among which are reverse proxies.
    pub loopback: bool,
    /// Requests over one connection; then it is closed, and a client opens another.
    pub requests_per_connection: u64,
    /// The longest header of a request, in bytes.
    pub header_size: usize,
    /// How long the header of a request may take, and how long a connection may be idle
    /// before it.
    pub header_timeout: Duration,
    /// The longest body of a request, in bytes.
    pub body_size: usize,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// What cameras may cost.
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

/// How many connections so many descriptors are enough for.
fn connections(descriptors: Option<u64>) -> usize {
    let descriptors = descriptors.and_then(|most| usize::try_from(most).ok());
    descriptors.map_or(UNBOUNDED, |most| {
        most.saturating_sub(RESERVE).clamp(64, UNBOUNDED)
    })
}

/// Lets this process have as many descriptors as the system allows it: each viewer
/// takes one, and the usual 1024 are a small crowd. [`Limits::default`] counts on it.
///
/// # Errors
/// The system does not allow what it says that it allows.
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

/// Counts connections, and turns away those that are too many.
#[derive(Debug)]
pub struct ConnectionLimiter {
    connections: usize,
    per_address: usize,
    loopback: bool,
    open: AtomicUsize,
    by_address: Mutex<HashMap<Block, usize>>,
}

/// Why a connection is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There are too many from its address.
    Address,
    /// There are too many.
    Hub,
}

impl Full {
    /// What the client is told.
    pub fn message(self) -> &'static str {
        match self {
            Full::Address => {
                "there are too many connections from this address; close some, or raise \
                 `connections_per_address` in [limits] of the configuration"
            }
            Full::Hub => "the hub has as many connections as it may have; try again later",
        }
    }
}

impl ConnectionLimiter {
    /// One who keeps to these limits.
    pub fn new(limits: &Limits) -> Self {
        Self {
            connections: limits.connections,
            per_address: limits.connections_per_address,
            loopback: limits.loopback,
            open: AtomicUsize::new(0),
            by_address: Mutex::default(),
        }
    }

    /// How many there may be.
    pub fn most(&self) -> usize {
        self.connections
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Lets a connection in for as long as the answer is kept. One that is `exempt`
    /// counts among all, but not among those of its address.
    ///
    /// # Errors
    /// It is one too many.
    pub fn enter(self: &Arc<Self>, address: IpAddr, exempt: bool) -> Result<Place, Full> {
        // One thread accepts, so nobody comes between the look and the count.
        if self.open() >= self.connections {
            return Err(Full::Hub);
        }
        let local = address.to_canonical().is_loopback() && !self.loopback;
        let exempt = exempt || local;
        let block = (!exempt).then(|| Block::from(address));
        if let Some(block) = block {
            let mut by_address = self.lock();
            let open = by_address.entry(block).or_default();
            if *open >= self.per_address {
                return Err(Full::Address);
            }
            *open += 1;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Place {
            connection_limiter: self.clone(),
            block,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Block, usize>> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    connection_limiter: Arc<ConnectionLimiter>,
    block: Option<Block>,
}

impl Place {
    /// Counts no more against its address: whoever has it is known by name now.
    pub fn stand_alone(&mut self) {
        let Some(block) = self.block.take() else {
            return;
        };
        let mut by_address = self.connection_limiter.lock();
        if let Some(open) = by_address.get_mut(&block) {
            *open -= 1;
            if *open == 0 {
                by_address.remove(&block);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connection_limiter.open.fetch_sub(1, Ordering::Relaxed);
        self.stand_alone();
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
    fn an_address_has_so_many_places_and_another_has_its_own() {
        let connection_limiter = connection_limiter();
        let (ann, bob) = (address("10.0.0.1"), address("2001:db8::1"));
        let anns = [ann, ann].map(|a| connection_limiter.enter(a, false).expect("a place"));
        assert_eq!(
            connection_limiter.enter(ann, false).err(),
            Some(Full::Address)
        );
        let _bobs = [bob, bob].map(|b| connection_limiter.enter(b, false).expect("a place"));
        let household = address("2001:db8::2");
        assert_eq!(
            connection_limiter.enter(household, false).err(),
            Some(Full::Address)
        );
        drop(anns);
        assert_eq!(connection_limiter.open(), 2);
        assert!(connection_limiter.enter(ann, false).is_ok());
        // A reverse proxy brings many.
        let _proxy = [bob, bob].map(|b| connection_limiter.enter(b, true).expect("a place"));
        assert_eq!(connection_limiter.lock().len(), 1, "who left is forgotten");
    }

    #[test]
    fn who_stands_alone_counts_among_all_and_not_for_its_address() {
        let connection_limiter = connection_limiter();
        let ann = address("10.0.0.1");
        let mut places = Vec::new();
        for _ in 0..5 {
            let mut place = connection_limiter.enter(ann, false).expect("a place");
            place.stand_alone();
            places.push(place);
        }
        assert_eq!(connection_limiter.lock().len(), 0);
        assert_eq!(connection_limiter.enter(ann, false).err(), Some(Full::Hub));
        drop(places);
        assert_eq!(connection_limiter.open(), 0);
    }

    #[test]
    fn all_together_have_so_many() {
        let connection_limiter = connection_limiter();
        let own = address("127.0.0.1");
        let _all: Vec<_> = (0..5)
            .map(|_| connection_limiter.enter(own, false))
            .collect();
        assert_eq!(connection_limiter.enter(own, false).err(), Some(Full::Hub));
        assert_eq!(
            connection_limiter.enter(address("10.0.0.1"), false).err(),
            Some(Full::Hub)
        );
    }

    #[test]
    fn this_machine_is_limited_only_when_it_is_asked_for() {
        let limits = Limits {
            connections_per_address: 1,
            loopback: true,
            ..Limits::default()
        };
        let connection_limiter = Arc::new(ConnectionLimiter::new(&limits));
        let _place = connection_limiter.enter(address("::ffff:127.0.0.1"), false);
        let second = connection_limiter.enter(address("127.0.0.1"), false);
        assert_eq!(second.err(), Some(Full::Address));
    }

    #[test]
    fn connections_leave_descriptors_for_the_cameras() {
        assert_eq!(connections(Some(1024)), 768);
        assert_eq!(connections(Some(10)), 64);
        assert_eq!(connections(None), UNBOUNDED);
    }
}
