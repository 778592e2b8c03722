//! TLS connections to cameras: a client configuration that verifies certificates against this
//! machine's trusted root certificates, one that accepts any certificate, and the handshake.

use super::tls_fault::TlsFault;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;
use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Loading a machine's root certificates takes ten thousand times as long as forwarding a
/// frame, so it is done once, on a blocking thread.
static VERIFYING: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();

static ACCEPTING: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();

/// Returns the TLS client configuration. With `verify` it uses the root certificates that this
/// machine trusted when they were first needed; without, it accepts any certificate.
///
/// # Errors
/// The root certificates can't be loaded. The error is the reason.
pub async fn client_config(verify: bool) -> Result<Arc<ClientConfig>, String> {
    let (cell, make): (_, fn() -> Result<ClientConfig, Error>) = match verify {
        true => (&VERIFYING, verifying_config),
        false => (&ACCEPTING, accepting_config),
    };
    let config = cell.get_or_try_init(|| async move {
        let made = tokio::task::spawn_blocking(make).await;
        made.unwrap_or_else(|error| Err(Error::General(error.to_string())))
            .map(Arc::new)
    });
    config
        .await
        .cloned()
        .map_err(|error| format!("this machine's trusted root certificates can't be read: {error}"))
}

/// Files with the root certificates that a system trusts: Debian, Fedora, Alpine and BSD, SUSE.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// Returns the file with the root certificates that this machine trusts, for programs that don't
/// find it themselves.
pub fn authorities_file() -> Option<PathBuf> {
    if let Some(file) = std::env::var_os("SSL_CERT_FILE") {
        return Some(file.into());
    }
    let mut files = AUTHORITIES.iter().map(PathBuf::from);
    files.find(|file| file.is_file())
}

fn verifying_config() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_client_cert_resolver(Arc::new(NoClientCertificate)))
}

fn accepting_config() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAny))
        .with_client_cert_resolver(Arc::new(NoClientCertificate)))
}

tokio::task_local! {
    /// Whether the server of the handshake in [`connect`] has requested a client certificate.
    static CERTIFICATE_REQUESTED: Cell<bool>;
}

/// Offers no client certificate, and notes that one was requested.
#[derive(Debug)]
pub struct NoClientCertificate;

impl ResolvesClientCert for NoClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // A connection that was not opened by `connect` needs no note.
        let _ = CERTIFICATE_REQUESTED.try_with(|requested| requested.set(true));
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Makes the TLS handshake, with a configuration that uses [`NoClientCertificate`].
///
/// # Errors
/// The handshake fails. With TLS 1.2, most servers send the same alert for a missing client
/// certificate as for unsupported ciphers; if a certificate was requested, the error is that of
/// TLS 1.3 for a missing one.
pub async fn connect<S>(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: S,
) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = TlsConnector::from(config).connect(name, stream);
    let explained = async {
        let error = match handshake.await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        match TlsFault::of(&error) {
            Some(TlsFault::Ciphers | TlsFault::Closed) if CERTIFICATE_REQUESTED.with(Cell::get) => {
                let alert = AlertDescription::CertificateRequired;
                Err(io::Error::other(Error::AlertReceived(alert)))
            }
            _ => Err(error),
        }
    };
    CERTIFICATE_REQUESTED
        .scope(Cell::new(false), explained)
        .await
}

/// Certificate verifier for `verify_tls = false`, which accepts any certificate. It does not
/// verify signatures either: some cameras' certificates and signatures are too old to be
/// parsed, and a signature by an unknown key would prove nothing.
#[derive(Debug)]
struct AcceptAny;

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_SHA1_Legacy,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::ED448,
        ]
    }
}
