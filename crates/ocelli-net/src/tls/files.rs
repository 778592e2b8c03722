//! A certificate and key in files that are created and renewed externally, for example by certbot or
//! a company's certificate authority.

use super::TlsError;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The paths of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The chain as PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// Its key as PEM.
    pub key: PathBuf,
}

impl Files {
    /// Reads the certificate and key.
    ///
    /// # Errors
    /// A file is unusable. The message contains the file and the reason.
    pub fn read(&self) -> Result<CertifiedKey, TlsError> {
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| TlsError::of_file(&self.cert, plain(&error)))?;
        if chain.is_empty() {
            return Err(TlsError::of_file(
                &self.cert,
                "it contains no certificate; it must be PEM, with the server's certificate first \
                 and the intermediate certificates after it (often called fullchain.pem)",
            ));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| TlsError::of_file(&self.key, plain(&error)))?;
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| {
            let fault = match error {
                rustls::Error::InconsistentKeys(_) => {
                    format!("it is not the key of {}", self.cert.display())
                }
                error => error.to_string(),
            };
            TlsError::of_file(&self.key, fault)
        })
    }

    /// Returns the state of the files, to detect changes.
    fn state(&self) -> State {
        [&self.cert, &self.key].map(|path| file_state(path))
    }
}

/// Describes a fault without repeating the contents of the file.
fn plain(error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "it contains no private key in PEM format".to_owned(),
        _ => "it is damaged: the PEM is incomplete".to_owned(),
    }
}

type State = [Option<(u64, u64, i64, i64, u64)>; 2];

/// Returns the state of one file. Symbolic links are followed, so a link with a new target is a
/// change.
fn file_state(path: &Path) -> Option<(u64, u64, i64, i64, u64)> {
    let of = |file: Metadata| {
        let (changed, fraction) = (file.mtime(), file.mtime_nsec());
        (file.dev(), file.ino(), changed, fraction, file.len())
    };
    std::fs::metadata(path).ok().map(of)
}

/// Detects changes of a certificate and its key.
pub struct Watch {
    files: Files,
    seen: State,
    /// The state that was unusable at the last check, and whether that has been reported.
    bad: Option<(State, bool)>,
}

impl Watch {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub fn begin(files: Files) -> Result<(Self, CertifiedKey), TlsError> {
        let seen = files.state();
        let key = files.read()?;
        let watch = Self {
            files,
            seen,
            bad: None,
        };
        Ok((watch, key))
    }

    /// Checks the files, and returns the new certificate if they changed. Certificate and key may be
    /// replaced one after the other, so an unusable state is reported only when it persists, and
    /// only once.
    pub fn check(&mut self) -> Option<Result<CertifiedKey, TlsError>> {
        let state = self.files.state();
        if state == self.seen {
            self.bad = None;
            return None;
        }
        if self.bad == Some((state, true)) {
            return None;
        }
        match self.files.read() {
            Ok(key) => {
                self.seen = state;
                self.bad = None;
                Some(Ok(key))
            }
            Err(error) => {
                let lasts = self.bad.is_some_and(|(bad, _)| bad == state);
                self.bad = Some((state, lasts));
                lasts.then_some(Err(error))
            }
        }
    }
}
