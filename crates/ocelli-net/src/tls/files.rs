//! A certificate and key that somebody else made and renews: certbot, a company's
//! authority, a person.

use super::TlsError;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a pair is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The chain as PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// Its key as PEM.
    pub key: PathBuf,
}

impl Files {
    /// Reads the pair.
    ///
    /// # Errors
    /// Says which file is wrong and how.
    pub fn read(&self) -> Result<CertifiedKey, TlsError> {
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| TlsError::of_file(&self.cert, plain(&error)))?;
        if chain.is_empty() {
            return Err(TlsError::of_file(
                &self.cert,
                "it holds no certificate; it should be PEM, with the server's own first and those \
                 between it and the authority after it (often called fullchain.pem)",
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

    /// What tells one state of the files from another.
    fn state(&self) -> State {
        [&self.cert, &self.key].map(|path| mark(path))
    }
}

/// A fault in words that do not repeat what the file holds.
fn plain(error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "it holds nothing of the kind in PEM".to_owned(),
        _ => "it is damaged: not whole PEM".to_owned(),
    }
}

type State = [Option<(u64, u64, i64, i64, u64)>; 2];

/// Links are followed, so that a link that points elsewhere is a change.
fn mark(path: &Path) -> Option<(u64, u64, i64, i64, u64)> {
    let of = |file: Metadata| {
        let (changed, fraction) = (file.mtime(), file.mtime_nsec());
        (file.dev(), file.ino(), changed, fraction, file.len())
    };
    std::fs::metadata(path).ok().map(of)
}

/// Notices when a pair changes.
pub struct Watch {
    files: Files,
    seen: State,
    /// The state that was bad when it was last looked at, and whether that was told.
    bad: Option<(State, bool)>,
}

impl Watch {
    /// Reads the pair for the first time.
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

    /// Looks again; the new pair, if there is one. Chain and key change at different
    /// moments, so a bad state is told only when it lasts, and once.
    pub fn look(&mut self) -> Option<Result<CertifiedKey, TlsError>> {
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
