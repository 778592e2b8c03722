//! TLS on the way in: who vouches for the hub, and the handshake.
//!
//! [`authority`] is the hub's own (`mode = "local"`), [`files`] a pair that somebody
//! else made (`mode = "files"`), [`keep`] renews and reads them again while the hub
//! runs. A change of certificate concerns the next handshake and ends no connection.
//!
//! What does not belong here: what is said once a connection is open, and the TLS of
//! cameras that the hub connects to.

pub mod authority;
mod day;
pub mod files;
pub mod keep;

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

/// In which a client must have shaken hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The first byte of a TLS connection: a record of type handshake (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 0x16;
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// Why there is no TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(String);

impl TlsError {
    /// Says what is wrong and what would be right.
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

/// The server's side of TLS, for any number of listeners: clones share the
/// certificate that is shown at the moment.
#[derive(Clone)]
pub struct Server {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
}

/// What a new connection turns out to be.
pub enum Opened {
    /// HTTP/1.1, encrypted.
    Http1(Connection),
    /// HTTP/2, encrypted.
    Http2(Connection),
    /// Somebody who speaks plain HTTP where TLS is spoken.
    Plain(Connection),
}

impl Server {
    /// A server that shows this certificate until it is given another.
    ///
    /// # Errors
    /// None but this program's own fault: it was built without TLS.
    pub fn new(first: CertifiedKey) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown(RwLock::new(Arc::new(first))));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(error.to_string()))?;
        let mut config = config
            .with_no_client_auth()
            .with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            shown,
        })
    }

    /// Shows another certificate from the next handshake on.
    pub fn show(&self, next: CertifiedKey) {
        let mut shown = self.shown.0.write();
        **shown.as_mut().unwrap_or_else(PoisonError::get_mut) = Arc::new(next);
    }

    /// Waits for the client's first byte and shakes hands. Rubbish is an error that
    /// costs nothing more.
    ///
    /// # Errors
    /// The client left, took too long, or spoke no TLS that is spoken here.
    pub async fn open(&self, connection: Connection) -> io::Result<Opened> {
        let opening = async {
            match connection.first_byte().await? {
                Some(HANDSHAKE_RECORD) => {}
                Some(byte) if byte.is_ascii_uppercase() => {
                    return Ok(Opened::Plain(connection));
                }
                _ => return Err(io::Error::other("neither TLS nor HTTP")),
            }
            let connection = connection.encrypt(&self.acceptor).await?;
            Ok(match connection.protocol() {
                Some(HTTP_2) => Opened::Http2(connection),
                _ => Opened::Http1(connection),
            })
        };
        timeout(HANDSHAKE, opening)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no handshake")))
    }
}

/// The certificate that handshakes show.
struct Shown(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(shown.clone())
    }
}

/// The last second of a certificate's life; none if it can't be read.
pub fn expiry(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    // The dates are judged before anything else, and at the end of days every
    // certificate has run out: the verdict names the day.
    let end_of_days = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX / 2));
    let known = aws_lc_rs::default_provider().signature_verification_algorithms;
    let usage = KeyUsage::server_auth();
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let judged = certificate.verify_for_usage(known.all, &[], &[], end_of_days, usage, None, None);
    match judged {
        Err(webpki::Error::CertExpired { not_after, .. }) => Some(not_after),
        _ => None,
    }
}
