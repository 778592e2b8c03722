//! TLS for incoming connections: the handshake and the hub's certificate.
//!
//! [`authority`] is the hub's own certificate authority (`mode = "local"`), [`files`] an external
//! certificate and key (`mode = "files"`), and [`keep`] renews or re-reads them while the hub runs.
//! A new certificate applies from the next handshake on and ends no connection.
//!
//! TLS to cameras that the hub connects to is not part of this module.

pub mod authority;
mod clock;
mod day;
pub mod files;
pub mod renewal;

pub use day::day;

use crate::connection::Connection;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use webpki::{EndEntityCert, KeyUsage};

/// Timeout of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The first byte of a TLS connection: a record of type handshake (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 0x16;
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// The reason why TLS can't be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(String);

impl TlsError {
    /// Creates an error. The message contains what is wrong and how to fix it.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    fn of_file(path: &Path, fault: impl fmt::Display) -> Self {
        Self(format!("{} can't be used: {fault}", path.display()))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// The TLS server, for any number of listeners. Clones share the current certificate.
#[derive(Clone)]
pub struct Server {
    acceptor: TlsAcceptor,
    current: Arc<CurrentCertificate>,
}

/// A connection after protocol detection.
pub enum Opened {
    /// HTTP/1.1, encrypted.
    Http1(Connection),
    /// HTTP/2, encrypted.
    Http2(Connection),
    /// Plain HTTP on a TLS port.
    Plain(Connection),
}

impl Server {
    /// Creates a server with its first certificate.
    ///
    /// # Errors
    /// The program was built without TLS support, which is a bug.
    pub fn new(first: CertifiedKey) -> Result<Self, TlsError> {
        let current = Arc::new(CurrentCertificate(RwLock::new(Arc::new(first))));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(error.to_string()))?;
        let mut config = config
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            current,
        })
    }

    /// Uses another certificate from the next handshake on.
    pub fn set_certificate(&self, next: CertifiedKey) {
        let mut current = self.current.0.write();
        **current.as_mut().unwrap_or_else(PoisonError::get_mut) = Arc::new(next);
    }

    /// Returns the certificate of the next handshake.
    #[cfg(test)]
    fn certificate(&self) -> Arc<CertifiedKey> {
        let current = self.current.0.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the client's first byte and performs the TLS handshake. Anything except TLS and
    /// HTTP is rejected at the first byte.
    ///
    /// # Errors
    /// The client disconnected, the handshake timed out, or the client uses an unsupported protocol
    /// or TLS version.
    pub async fn open(&self, connection: Connection) -> io::Result<Opened> {
        let opening = async {
            match connection.first_byte().await? {
                Some(HANDSHAKE_RECORD) => {}
                Some(byte) if byte.is_ascii_uppercase() => {
                    return Ok(Opened::Plain(connection));
                }
                _ => return Err(io::Error::other("the client sent neither TLS nor HTTP")),
            }
            let connection = connection.encrypt(&self.acceptor).await?;
            Ok(match connection.protocol() {
                Some(HTTP_2) => Opened::Http2(connection),
                _ => Opened::Http1(connection),
            })
        };
        timeout(HANDSHAKE, opening)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it timed out")))
    }
}

/// The current certificate for handshakes.
struct CurrentCertificate(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentCertificate")
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(current.clone())
    }
}

/// Returns the last second of a certificate's validity. `None` if it can't be parsed.
pub fn expiry(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    // webpki checks the dates first. In the far future every certificate has expired, and the
    // error contains the expiry time.
    let far_future = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX / 2));
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    let usage = KeyUsage::server_auth();
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let verified =
        certificate.verify_for_usage(algorithms.all, &[], &[], far_future, usage, None, None);
    match verified {
        Err(webpki::Error::CertExpired { not_after, .. }) => Some(not_after),
        _ => None,
    }
}
