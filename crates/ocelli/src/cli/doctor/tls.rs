//! TLS checks as a browser makes them: the chain, the name, the dates, the protocol.
//!
//! The handshake accepts every certificate, so that all of its faults can be reported. The
//! result of the checks decides what is sent over the connection.

use super::report::Report;
use super::route::{Route, Stream};
use ocelli_media::sources::{NoClientCertificate, TlsFault, certificate_fault, connect_tls};
use ocelli_net::tls::day;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme,
};
use rustls_platform_verifier::Verifier;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use webpki::EndEntityCert;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(8);
/// A certificate that expires sooner than this is a warning.
const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 3600);

/// Advice for a server with outdated TLS.
const TOO_OLD: &str = "Update it, or put a reverse proxy in front of it. If it is a camera, the \
     hub can play it with ffmpeg: in front of its address.";
/// The message for a server that requires a client certificate. With TLS 1.3, the server tells
/// it only after the handshake.
pub const CLIENT_CERTIFICATE: &str = "The server requires a certificate from its clients, and \
     browsers and the hub send none. Turn that off at the server.";

/// Makes the TLS handshake. Returns `None` if it fails, or if the certificate is not trusted and
/// the request may contain a secret.
pub async fn handshake(
    stream: TcpStream,
    route: &Route,
    report: &mut Report,
) -> Option<Box<dyn Stream>> {
    let bare = route.host.trim_start_matches('[').trim_end_matches(']');
    let Ok(name) = ServerName::try_from(bare.to_owned()) else {
        report.fail(
            "tls",
            format!("{bare} is not a name that a certificate can have."),
        );
        return None;
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let witness = Arc::new(RecordingVerifier {
        platform: Verifier::new(provider.clone()).ok(),
        provider: provider.clone(),
        chain: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|versions| {
            versions
                .dangerous()
                .with_custom_certificate_verifier(witness.clone())
                .with_client_cert_resolver(Arc::new(NoClientCertificate))
        });
    let Ok(mut config) = config else {
        report.fail("tls", "This program was built without TLS.");
        return None;
    };
    // The ALPN protocol that browsers offer for a WebSocket: HTTP/2 has no Upgrade.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let handshake = connect_tls(Arc::new(config), name.clone(), stream);
    let stream = match timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            report.fail("tls", error_message(&error, route));
            return None;
        }
        Err(_) => {
            report.fail(
                "tls",
                "The server accepts the connection and then sends nothing. Perhaps it does not \
                 speak TLS on this port: try the address with ws:// or http://.",
            );
            return None;
        }
    };
    let session = stream.get_ref().1;
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    report.pass("tls", format!("The connection is encrypted ({version})."));
    match session.alpn_protocol() {
        Some(b"http/1.1") => report.pass("alpn", "The server agrees to HTTP/1.1."),
        _ => report.pass(
            "alpn",
            "The server selects no protocol (ALPN), so it is HTTP/1.1.",
        ),
    }
    let trusted = witness.check_certificate(&name, report);
    if !trusted && route.may_hold_secret() {
        report.warn(
            "stopped",
            "The address has a query, which may hold a secret, so it is not sent to a server \
             that can't be trusted. Fix the certificate and run this again.",
        );
        return None;
    }
    Some(Box::new(stream))
}

/// The message for a failed handshake.
fn error_message(error: &std::io::Error, route: &Route) -> String {
    let port = route.port;
    match TlsFault::of(error) {
        Some(TlsFault::NotTls) => format!(
            "The server on port {port} does not speak TLS. Write the address with ws:// or \
             http://, or use the server's TLS port."
        ),
        Some(TlsFault::Protocol) => {
            "The server refuses HTTP/1.1 (ALPN), and browsers open WebSockets only with \
             HTTP/1.1. Enable http/1.1 in addition to h2."
                .to_owned()
        }
        Some(TlsFault::Version) => format!(
            "The server supports neither TLS 1.2 nor TLS 1.3, and browsers accept no older \
             version. {TOO_OLD}"
        ),
        Some(TlsFault::Ciphers) => format!(
            "The server supports no key exchange and cipher that browsers still accept. {TOO_OLD}"
        ),
        Some(TlsFault::ClientCertificate) => CLIENT_CERTIFICATE.to_owned(),
        Some(TlsFault::Name) => {
            "The server aborts the TLS handshake because it has no certificate for this name. Use \
             a name that it knows, or add this one at the server."
                .to_owned()
        }
        Some(TlsFault::Broken | TlsFault::Certificate) => {
            "The server aborts the TLS handshake, or breaks its rules. See the server's log; \
             often it has no certificate for this name."
                .to_owned()
        }
        Some(TlsFault::Closed) | None => format!(
            "The server closes the connection during the TLS handshake. Perhaps port {port} does not speak \
             TLS: try ws:// or http://."
        ),
    }
}

/// Certificate verifier that accepts every certificate and records it.
#[derive(Debug)]
struct RecordingVerifier {
    platform: Option<Verifier>,
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(leaf).chain(others);
        let all = all.map(|certificate| certificate.clone().into_owned());
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = all.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl RecordingVerifier {
    /// Checks the recorded certificate. Returns true if a browser would continue.
    fn check_certificate(&self, name: &ServerName<'_>, report: &mut Report) -> bool {
        let chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((leaf, others)) = chain.split_first() else {
            report.fail("certificate", "The server sent no certificate.");
            return false;
        };
        let Ok(parsed) = EndEntityCert::try_from(leaf) else {
            report.fail(
                "certificate",
                "The server's certificate is damaged or of a kind that browsers do not read. \
                 Make a new one (X.509 version 3).",
            );
            return false;
        };
        let valid_name = check_name(&parsed, name, report);
        let Some(platform) = &self.platform else {
            report.fail(
                "certificate",
                "This machine has no list of trusted authorities, so the server can't be \
                 verified. On Debian: apt install ca-certificates.",
            );
            return false;
        };
        let judged_at = |time| verify(platform, leaf, others, name, time);
        let mut fault = judged_at(UnixTime::now());
        let mut valid_dates = true;
        // Dates are checked first; other faults are then checked as of a date on which the
        // certificate is valid.
        if let Some((dated, day)) = fault.as_ref().and_then(date_fault) {
            report.fail("dates", dated);
            valid_dates = false;
            fault = judged_at(day);
        }
        match &fault {
            None => report.pass(
                "certificate",
                "It is signed by an authority that this machine trusts.",
            ),
            Some(CertificateError::UnknownIssuer) => {
                let own = parsed.issuer() == parsed.subject();
                report.fail("certificate", untrusted_message(own, others.len()));
            }
            Some(other) => report.fail("certificate", describe(other)),
        }
        let good = fault.is_none() && valid_dates;
        if good {
            check_expiry(platform, leaf, others, name, report);
        }
        valid_name && good
    }
}

/// The message for an expired or not yet valid certificate, and a time at which it is valid.
fn date_fault(fault: &CertificateError) -> Option<(String, UnixTime)> {
    match fault {
        CertificateError::ExpiredContext { not_after, .. } => {
            let words = format!(
                "The certificate expired on {}. Renew it, and make sure that the server loads \
                 the new one (many need a restart).",
                day(*not_after)
            );
            Some((words, *not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            let words = format!(
                "The certificate is not valid before {}. Are the clocks of this machine and of the \
                 one that created it right?",
                day(*not_before)
            );
            Some((words, *not_before))
        }
        _ => None,
    }
}

/// The fault of a chain, apart from its name.
fn verify(
    verifier: &dyn ServerCertVerifier,
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    now: UnixTime,
) -> Option<CertificateError> {
    match verifier.verify_server_cert(leaf, others, name, &[], now) {
        Ok(_) => None,
        Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => None,
        Err(Error::InvalidCertificate(fault)) => Some(fault),
        Err(_) => Some(CertificateError::UnknownIssuer),
    }
}

fn check_name(leaf: &EndEntityCert<'_>, name: &ServerName<'_>, report: &mut Report) -> bool {
    let wanted = name.to_str();
    match leaf.verify_is_valid_for_subject_name(name) {
        Ok(()) => {
            report.pass("tls name", format!("The certificate is for {wanted}."));
            true
        }
        Err(_) => {
            let names: Vec<_> = leaf.valid_dns_names().collect();
            let names = if names.is_empty() {
                "no host name (browsers read subjectAltName only)".to_owned()
            } else {
                names.join(", ")
            };
            report.mismatch(
                "tls name",
                format!(
                    "The certificate is not for {wanted}, so browsers refuse it. Use a name from the \
                     certificate, or create one with {wanted} among its names (subjectAltName)."
                ),
                &wanted,
                &names,
            );
            false
        }
    }
}

fn untrusted_message(own: bool, others: usize) -> String {
    if own {
        "The certificate is self-signed, and no browser trusts that. A \
         page's socket then fails without a message, because browsers ask whether to continue \
         only for pages. Use a certificate from an authority, or import this one on every device."
            .to_owned()
    } else if others == 0 {
        "No authority that this machine trusts has signed the certificate, and the server sends \
         no other certificate. Either the intermediate certificate is missing (serve the whole \
         chain, often called fullchain.pem), or a private authority signed it, which must then \
         be imported on every device."
            .to_owned()
    } else {
        "The chain ends in an authority that this machine does not trust. If it is your own, \
         import it on every viewing device."
            .to_owned()
    }
}

fn describe(fault: &CertificateError) -> String {
    match fault {
        CertificateError::Revoked => {
            "The certificate was revoked by its authority. Get a new one.".to_owned()
        }
        other => format!(
            "The certificate's chain is not acceptable: a certificate {}. Create a new one for \
             use by a server, and serve the whole chain.",
            certificate_fault(other)
        ),
    }
}

fn check_expiry(
    platform: &Verifier,
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    report: &mut Report,
) {
    let soon =
        UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs()) + EXPIRY_WARNING);
    if let Some(CertificateError::ExpiredContext { not_after, .. }) =
        verify(platform, leaf, others, name, soon)
    {
        report.warn(
            "dates",
            format!(
                "The certificate expires on {}. Renew it in time.",
                day(not_after)
            ),
        );
    } else {
        report.pass("dates", "The certificate is valid for more than two weeks.");
    }
}
