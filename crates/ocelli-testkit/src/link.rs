//! A plain or TLS connection with blocking reads and writes, for clients and servers.
//!
//! The socket itself is non-blocking, and waits have a time limit. One thread can therefore
//! send without pause and read what arrives meanwhile, as hostile peers do.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore};
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The default time limit of a read or a write.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One connection.
pub struct Link {
    stream: TcpStream,
    tls: Option<Box<Connection>>,
    time_limit: Duration,
}

impl Link {
    /// Connects to `address` without TLS.
    ///
    /// # Errors
    /// Returns an error if the connection fails.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::new(TcpStream::connect_timeout(&address, TIMEOUT)?)
    }

    /// Connects to `address` without TLS, from one of this machine's addresses.
    ///
    /// # Errors
    /// Returns an error if the connection fails.
    pub fn connect_from(own: Ipv4Addr, address: SocketAddr) -> io::Result<Self> {
        let SocketAddr::V4(address) = address else {
            return Err(io::Error::other("the address must be IPv4"));
        };
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddrV4::new(own, 0))?;
        connect(&socket, &address)?;
        Self::new(TcpStream::from(socket))
    }

    /// Takes over an open connection.
    ///
    /// # Errors
    /// Returns an error if the system refuses to set its options.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            tls: None,
            time_limit: TIMEOUT,
        })
    }

    /// Starts TLS as the client.
    ///
    /// # Errors
    /// Returns an error if the handshake fails.
    pub fn encrypt(mut self, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let client = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        self.tls = Some(Box::new(client.into()));
        self.handshake()
    }

    /// Starts TLS as the server.
    ///
    /// # Errors
    /// Returns an error if the handshake fails.
    pub fn accept(mut self, config: &Arc<ServerConfig>) -> io::Result<Self> {
        let server = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        self.tls = Some(Box::new(server.into()));
        self.handshake()
    }

    fn handshake(mut self) -> io::Result<Self> {
        while let Some(tls) = &mut self.tls {
            write_tls(tls, &mut self.stream)?;
            if !tls.is_handshaking() && !tls.wants_write() {
                break;
            }
            if read_tls(tls, &mut self.stream)? == Some(0) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if tls.wants_write() || tls.is_handshaking() {
                self.wait(self.time_limit)?;
            }
        }
        Ok(self)
    }

    /// Sets the time limit of reads and writes.
    pub fn set_timeout(&mut self, time_limit: Duration) {
        self.time_limit = time_limit;
    }

    /// The TCP connection.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The TLS session, if there is one.
    pub fn tls(&mut self) -> Option<&mut Connection> {
        self.tls.as_deref_mut()
    }

    /// Passes everything received to `taken`, then writes as much of `out` as possible without
    /// blocking. Returns the number of bytes written, or `None` at the end of the connection.
    ///
    /// # Errors
    /// Returns an error if the connection failed.
    pub fn pump(&mut self, out: &[u8], mut taken: impl FnMut(&[u8])) -> io::Result<Option<usize>> {
        let mut buffer = [0; 16 * 1024];
        let mut received = 0;
        // Bounded, so that a fast peer cannot prevent writing.
        while received < 64 * 1024 {
            match self.read_now(&mut buffer)? {
                Some(0) => return Ok(None),
                Some(count) => {
                    received += count;
                    taken(&buffer[..count]);
                }
                None => break,
            }
        }
        self.write_now(out).map(Some)
    }

    /// Writes as much as possible without blocking, and reads nothing.
    ///
    /// # Errors
    /// Returns an error if the connection failed.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_now(bytes)
    }

    /// Waits until the connection is readable or, with `writing`, writable. Returns false on
    /// timeout.
    ///
    /// # Errors
    /// Returns an error if the system refuses to wait.
    pub fn wait_ready(&self, writing: bool, limit: Duration) -> io::Result<bool> {
        let mut flags = PollFlags::IN;
        let pending = self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        if writing || pending {
            flags |= PollFlags::OUT;
        }
        let mut fds = [PollFd::new(&self.stream, flags)];
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&limit)) {
            Err(rustix::io::Errno::INTR) => Ok(false),
            ready => Ok(ready? > 0),
        }
    }

    /// Reads without blocking. Returns `None` if nothing has arrived.
    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(tls) = &mut self.tls else {
            return now(self.stream.read(buffer));
        };
        loop {
            if let Some(count) = now(tls.reader().read(buffer))? {
                return Ok(Some(count));
            }
            match read_tls(tls, &mut self.stream)? {
                None => return Ok(None),
                Some(0) => return Ok(Some(0)),
                Some(_) => {}
            }
        }
    }

    /// Writes without blocking.
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return Ok(now(self.stream.write(bytes))?.unwrap_or(0));
        };
        write_tls(tls, &mut self.stream)?;
        // The session buffers what the socket did not accept. Add nothing to that buffer.
        if tls.wants_write() {
            return Ok(0);
        }
        let count = tls.writer().write(bytes)?;
        write_tls(tls, &mut self.stream)?;
        Ok(count)
    }

    fn wait(&self, limit: Duration) -> io::Result<()> {
        match self.wait_ready(false, limit)? {
            true => Ok(()),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Returns `None` if the operation would block.
fn now(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_tls(tls: &mut Connection, stream: &mut TcpStream) -> io::Result<Option<usize>> {
    let count = now(tls.read_tls(stream))?;
    if count.is_some() {
        tls.process_new_packets().map_err(io::Error::other)?;
    }
    Ok(count)
}

fn write_tls(tls: &mut Connection, stream: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() && now(tls.write_tls(stream))?.is_some() {}
    Ok(())
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = self.read_now(buffer)? {
                return Ok(count);
            }
            self.flush()?;
            self.wait(self.time_limit)?;
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.write_now(bytes)? {
                0 if bytes.is_empty() => return Ok(0),
                0 if !self.wait_writable(self.time_limit)? => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                0 => {}
                count => return Ok(count),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        loop {
            let Some(tls) = &mut self.tls else {
                return Ok(());
            };
            write_tls(tls, &mut self.stream)?;
            if !tls.wants_write() {
                return Ok(());
            }
            if !self.wait_writable(self.time_limit)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

impl Link {
    fn wait_writable(&self, limit: Duration) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.stream, PollFlags::OUT)];
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        Ok(poll(&mut fds, Some(&limit))? > 0)
    }
}

/// Creates a TLS client configuration that trusts a hub's own authority and offers these protocols
/// by ALPN.
///
/// # Errors
/// Returns an error if the authority's certificate can't be read.
pub fn client_config(authority: &Path, protocols: &[&[u8]]) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority).map_err(io::Error::other)?;
    roots.add(certificate).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
    Ok(Arc::new(config))
}

/// Creates a TLS server configuration with a self-signed certificate, as cameras have.
///
/// # Errors
/// Returns an error if the certificate can't be made.
pub fn self_signed() -> io::Result<Arc<ServerConfig>> {
    let names = ["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}
