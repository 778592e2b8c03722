//! An HTTP camera that sends endlessly, on its own threads.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// The head of a chunked multipart stream; the one below ends with its connection.
pub const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; \
     boundary=f\r\nTransfer-Encoding: chunked\r\n\r\n";
pub const MULTIPART: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=f\r\n\r\n";

/// Bytes per write.
const BLOCK: usize = 64 << 10;

/// What the camera sends on each connection.
pub struct Attack {
    pub name: &'static str,
    /// The most bytes that one connection may accept: those that the hub reads and those that the
    /// system buffers.
    pub most: u64,
    head: Vec<u8>,
    /// Repeated endlessly after the head.
    unit: Vec<u8>,
    key_updates: bool,
    tickets: usize,
}

impl Attack {
    pub fn endless(name: &'static str, head: &str, unit: &str) -> Self {
        Self::endless_bytes(name, head.as_bytes(), unit.as_bytes())
    }

    pub fn endless_bytes(name: &'static str, head: &[u8], unit: &[u8]) -> Self {
        Self {
            name,
            most: 8 << 20,
            head: head.into(),
            unit: unit.repeat(BLOCK / unit.len()),
            key_updates: false,
            tickets: 0,
        }
    }

    /// Sends one response to each request, and nothing more.
    pub fn once(name: &'static str, response: &str) -> Self {
        Self {
            unit: Vec::new(),
            ..Self::endless(name, response, " ")
        }
    }

    /// Sends endless key updates.
    pub fn key_updates(head: &str) -> Self {
        Self {
            key_updates: true,
            ..Self::once("key updates", head)
        }
    }

    /// Sends this many session tickets before the response.
    pub fn tickets(name: &'static str, tickets: usize, response: &str) -> Self {
        Self {
            tickets,
            ..Self::once(name, response)
        }
    }

    pub fn within(mut self, most: u64) -> Self {
        self.most = most;
        self
    }
}

/// A running camera; it ends with the test.
pub struct Hostile {
    address: SocketAddr,
    secure: bool,
    sent: Arc<AtomicU64>,
}

impl Hostile {
    pub fn start(attack: Attack, secure: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(AtomicU64::new(0));
        let most = sent.clone();
        let tls = secure.then(|| tls(attack.tickets));
        let attack = Arc::new(attack);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (attack, tls, most) = (attack.clone(), tls.clone(), most.clone());
                thread::spawn(move || {
                    let counted = Counted {
                        stream,
                        sent: 0,
                        most,
                    };
                    match tls {
                        Some(tls) => attack.secure(counted, tls),
                        None => attack.send(counted),
                    }
                });
            }
        });
        Self {
            address,
            secure,
            sent,
        }
    }

    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// The most bytes that one connection has accepted.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Attack {
    fn send(&self, mut peer: impl Read + Write) {
        while request(&mut peer) && peer.write_all(&self.head).is_ok() && peer.flush().is_ok() {
            while !self.unit.is_empty() {
                if peer.write_all(&self.unit).is_err() {
                    return;
                }
            }
        }
    }

    fn secure(&self, mut counted: Counted, tls: Arc<ServerConfig>) {
        let mut session = ServerConnection::new(tls).unwrap();
        if !self.key_updates {
            let stream = rustls::StreamOwned::new(session, counted);
            return self.send(stream);
        }
        let mut stream = rustls::Stream::new(&mut session, &mut counted);
        if !request(&mut stream) || stream.write_all(&self.head).is_err() {
            return;
        }
        while session.refresh_traffic_keys().is_ok() {
            while session.wants_write() {
                if session.write_tls(&mut counted).is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads a request to its end. Returns whether there was one.
fn request(peer: &mut impl Read) -> bool {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") {
        match peer.read(&mut byte) {
            Ok(1) => read.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// Counts the bytes that the peer has accepted.
struct Counted {
    stream: TcpStream,
    sent: u64,
    most: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buf)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.sent += written as u64;
        self.most.fetch_max(self.sent, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

fn tls(tickets: usize) -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    if tickets > 0 {
        config.send_tls13_tickets = tickets;
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    }
    Arc::new(config)
}
