//! Reasons for failed TLS connections, in plain words.

use rustls::{AlertDescription, CertificateError, Error};
use std::io;

/// The failure reason for a certificate that is not signed by a trusted authority.
const UNTRUSTED: &str =
    "its certificate can't be verified; verify_tls = false accepts a self-signed one";

/// Why a TLS connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The peer answers with something other than TLS.
    NotTls,
    /// The peer supports no TLS version that is current.
    Version,
    /// The peer supports no cipher or key exchange that is current.
    Ciphers,
    /// The peer requires a certificate from the client.
    ClientCertificate,
    /// The peer refuses the name in the address.
    Name,
    /// The peer refuses all offered application protocols.
    Protocol,
    /// The peer's certificate is not trusted.
    Certificate,
    /// The peer closed the connection.
    Closed,
    /// The peer broke the rules of TLS, or reports an internal error.
    Broken,
}

impl TlsFault {
    /// Returns the cause of an error of a TLS stream, or `None` if it comes from the network.
    pub fn of(error: &io::Error) -> Option<Self> {
        let Some(inner) = error.get_ref() else {
            let closed = error.kind() == io::ErrorKind::UnexpectedEof;
            return closed.then_some(Self::Closed);
        };
        match inner.downcast_ref::<Error>() {
            Some(error) => Some(Self::from(error)),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Some(Self::Closed),
            None => None,
        }
    }
}

impl From<&Error> for TlsFault {
    fn from(error: &Error) -> Self {
        use AlertDescription as Alert;
        match error {
            Error::InvalidMessage(_) => Self::NotTls,
            Error::AlertReceived(alert) => match alert {
                Alert::ProtocolVersion => Self::Version,
                Alert::HandshakeFailure | Alert::InsufficientSecurity => Self::Ciphers,
                Alert::CertificateRequired | Alert::BadCertificate => Self::ClientCertificate,
                Alert::UnrecognisedName => Self::Name,
                Alert::NoApplicationProtocol => Self::Protocol,
                Alert::CloseNotify => Self::Closed,
                _ => Self::Broken,
            },
            Error::PeerIncompatible(reason) => {
                use rustls::PeerIncompatible as Reason;
                match reason {
                    Reason::ServerDoesNotSupportTls12Or13
                    | Reason::ServerTlsVersionIsDisabledByOurConfig
                    | Reason::Tls12NotOffered
                    | Reason::Tls12NotOfferedOrEnabled
                    | Reason::Tls13RequiredForQuic => Self::Version,
                    _ => Self::Ciphers,
                }
            }
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => Self::Certificate,
            _ => Self::Broken,
        }
    }
}

/// Returns the fault of a certificate as a part of a sentence that begins with "it".
pub fn certificate_fault(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet"
        }
        CertificateError::Revoked => "was revoked by its authority",
        CertificateError::UnknownIssuer => "is not signed by an authority that this machine trusts",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name"
        }
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed with an algorithm that is broken or not supported"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for use by a server"
        }
        CertificateError::BadEncoding => "is damaged",
        CertificateError::UnhandledCriticalExtension => "has an extension that is not supported",
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. }
        | CertificateError::InvalidOcspResponse => "can't be checked for revocation",
        // Among others, a certificate that signs itself as an authority.
        _ => "is self-signed, or not for use by a server",
    }
}

/// Returns the reason for a camera's failed TLS handshake, or `None` if the network is the
/// cause. `plain` is the scheme without TLS.
pub(super) fn tls_reason(error: &io::Error, plain: &str) -> Option<String> {
    if let Some(reason) = certificate_reason(error) {
        return Some(reason);
    }
    let reason = match TlsFault::of(error)? {
        TlsFault::NotTls => {
            let port = plain.to_uppercase();
            return Some(format!(
                "it does not speak TLS on this port: write {plain}:// in place of {plain}s://, or \
                 use its {port}S port"
            ));
        }
        TlsFault::Version => {
            "its TLS is too old: it supports neither TLS 1.2 nor 1.3; ffmpeg: in front of its \
             address plays it"
        }
        TlsFault::Ciphers => {
            "its TLS is too old: it supports no key exchange and cipher that are still \
             considered secure; ffmpeg: in front of its address plays it"
        }
        TlsFault::ClientCertificate => "it requires a client certificate, which is not supported",
        TlsFault::Name => "it refuses the host name in its address; try its IP address",
        TlsFault::Closed => {
            "the camera closes the connection during the TLS handshake; perhaps its TLS is too \
             old, then ffmpeg: in front of its address plays it"
        }
        TlsFault::Certificate | TlsFault::Protocol | TlsFault::Broken => {
            "its TLS is faulty; perhaps ffmpeg: in front of its address plays it"
        }
    };
    Some(reason.to_owned())
}

/// Returns the reason if a camera ends an open connection because it requires a client
/// certificate. With TLS 1.3, it does so only after the handshake.
pub(super) fn missing_certificate_reason(error: &io::Error) -> Option<String> {
    match TlsFault::of(error)? {
        TlsFault::ClientCertificate => tls_reason(error, ""),
        _ => None,
    }
}

fn certificate_reason(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref()?;
    match error {
        // `Other` is a certificate that signs itself as an authority, as openssl makes them.
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)) => {
            Some(UNTRUSTED.to_owned())
        }
        Error::InvalidCertificate(error) => Some(format!(
            "its certificate can't be verified, because it {}; verify_tls = false accepts any \
             certificate",
            certificate_fault(error)
        )),
        _ => None,
    }
}
