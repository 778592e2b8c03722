//! The address of the attacked hub, and the state that the threads of an attack share.

use ocelli_testkit::Result;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub const HUB: [u8; 4] = [10, 77, 0, 1];
/// All ports of the hub in its namespace.
pub const PORTS: [u16; 5] = [18080, 19876, 19877, 18082, 18084];
pub const THREADS: usize = 4;
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// State that the threads of an attack share.
#[derive(Default)]
pub struct Attackers {
    over: AtomicBool,
    /// Connections that were made.
    pub made: AtomicU64,
    /// Connections that the hub refused or ended.
    pub ended: AtomicU64,
}

impl Attackers {
    pub fn is_running(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Connects to one of the hub's ports, from the address with number `from`.
    pub fn connect(&self, port: u16, from: usize) -> Option<TcpStream> {
        let made = connect_from(port, from).ok();
        match made {
            Some(_) => self.made.fetch_add(1, Ordering::Relaxed),
            None => self.ended.fetch_add(1, Ordering::Relaxed),
        };
        made
    }
}

fn connect_from(port: u16, from: usize) -> Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let own = [10, 77, 1 + (from / 250 % 250) as u8, 1 + (from % 250) as u8];
    bind(&socket, &SocketAddrV4::new(own.into(), 0))?;
    connect(&socket, &SocketAddrV4::new(HUB.into(), port))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}
