//! Reasons for failed TLS connections, in plain words.

use rustls::{AlertDescription, CertificateError, Error};
use std::io;

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
        _ => "is not acceptable",
    }
}
