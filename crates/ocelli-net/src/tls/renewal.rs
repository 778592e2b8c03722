//! Keeps the current certificate valid while the hub runs: renews it, adapts it to the machine's
//! addresses, or re-reads its files.

use super::authority::{Authority, Certificate, Issued, Names};
use super::files::{Files, Watch};
use super::{Server, TlsError};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::time::{MissedTickBehavior, interval};

/// Interval of checks for a new certificate. A check costs two system calls.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The origin of the certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// No TLS.
    #[default]
    Off,
    /// The hub's own authority, with these additional names.
    Local(Vec<String>),
    /// A certificate and key in files.
    Files(Files),
}

impl Mode {
    /// Returns the mode that the command line sets in place of the configured one.
    ///
    /// # Errors
    /// The mode is unknown, or it needs keys that only a configuration has.
    pub fn override_with(self, word: &str) -> Result<Self, String> {
        match (word, self) {
            ("off", _) => Ok(Self::Off),
            ("local", local @ Self::Local(_)) => Ok(local),
            ("local", _) => Ok(Self::Local(Vec::new())),
            ("files", files @ Self::Files(_)) => Ok(files),
            ("files", _) => {
                Err("--tls files needs a configuration with `cert` and `key` in [tls]".to_owned())
            }
            (other, _) => Err(format!("--tls must be local, files or off, not {other:?}")),
        }
    }
}

/// Keeps the certificate of one server valid.
pub struct CertificateRenewer {
    server: Server,
    source: Source,
}

enum Source {
    Authority {
        authority: Box<Authority>,
        /// The names that do not depend on the machine's addresses.
        permanent: Names,
        signed_names: Names,
        current_during: std::ops::Range<SystemTime>,
    },
    Files(Watch),
}

impl CertificateRenewer {
    /// Uses the authority in the directory `data`, for the permanent names and the machine's current
    /// addresses.
    ///
    /// # Errors
    /// The authority can't be read or created.
    pub fn of_authority(
        data: &Path,
        permanent: Names,
        addresses: &[IpAddr],
        now: SystemTime,
    ) -> Result<(Self, Certificate), TlsError> {
        let authority = Authority::open_or_create(data, now)?;
        let signed_names = with_addresses(&permanent, addresses);
        let Issued {
            key,
            current_during,
        } = authority.issue(&signed_names, now)?;
        let certificate = authority.certificate().clone();
        let renewer = Self {
            server: Server::new(key)?,
            source: Source::Authority {
                authority: Box::new(authority),
                permanent,
                signed_names,
                current_during,
            },
        };
        Ok((renewer, certificate))
    }

    /// Uses a certificate and key in files.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub fn of_files(files: Files) -> Result<Self, TlsError> {
        let (watch, key) = Watch::begin(files)?;
        Ok(Self {
            server: Server::new(key)?,
            source: Source::Files(watch),
        })
    }

    /// Returns the TLS server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Checks whether a new certificate is needed. Returns true if the certificate was replaced.
    pub fn check(&mut self, now: SystemTime, addresses: &[IpAddr]) -> bool {
        let (key, why) = match &mut self.source {
            Source::Files(watch) => match watch.check() {
                Some(Ok(key)) => (key, "its files changed and were read again"),
                Some(Err(error)) => {
                    tracing::error!("{error}. The previous certificate stays in use");
                    return false;
                }
                None => return false,
            },
            Source::Authority {
                authority,
                permanent,
                signed_names,
                current_during,
            } => {
                let names = with_addresses(permanent, addresses);
                let moved = names != *signed_names;
                if current_during.contains(&now) && !moved {
                    return false;
                }
                match authority.issue(&names, now) {
                    Ok(issued) => {
                        (*signed_names, *current_during) = (names, issued.current_during);
                        let why = match moved {
                            true => "the addresses of this machine changed",
                            false => "the previous one was due for renewal",
                        };
                        (issued.key, why)
                    }
                    Err(error) => {
                        tracing::error!(%error, "can't create a new certificate");
                        return false;
                    }
                }
            }
        };
        self.server.set_certificate(key);
        tracing::info!(why, "the hub uses a new certificate");
        true
    }

    /// Checks every `CHECK_INTERVAL` until the task ends.
    pub async fn run(mut self) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A file may be on a slow disk, and the frame path must not wait for it.
            let checked = tokio::task::spawn_blocking(move || {
                self.check(SystemTime::now(), &crate::origin_policy::own_addresses());
                self
            });
            self = match checked.await {
                Ok(renewer) => renewer,
                Err(error) => {
                    tracing::error!(%error, "the certificate is no longer renewed");
                    return;
                }
            };
        }
    }
}

fn with_addresses(permanent: &Names, addresses: &[IpAddr]) -> Names {
    let mut names = permanent.clone();
    addresses
        .iter()
        .for_each(|address| names.add_address(*address));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::UnixTime;
    use std::path::PathBuf;
    use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// A directory that is removed with its contents.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("ocelli-renewal-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn start(data: &Path, now: SystemTime) -> Result<CertificateRenewer, TlsError> {
        let mut names = Names::default();
        names.add("hub.local");
        let started = CertificateRenewer::of_authority(data, names, &[], now);
        started.map(|(renewer, _)| renewer)
    }

    /// Whether a client whose clock shows `now` accepts the current certificate.
    fn is_accepted(renewer: &CertificateRenewer, now: SystemTime) -> bool {
        let key = renewer.server.certificate();
        let leaf = EndEntityCert::try_from(&key.cert[0]).expect("a certificate");
        let anchors = [anchor_from_trusted_cert(&key.cert[1]).expect("an authority")];
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let algorithms = rustls::crypto::aws_lc_rs::default_provider();
        let verified = leaf.verify_for_usage(
            algorithms.signature_verification_algorithms.all,
            &anchors,
            &[],
            UnixTime::since_unix_epoch(since.expect("after 1970")),
            KeyUsage::server_auth(),
            None,
            None,
        );
        verified.is_ok()
    }

    #[test]
    fn a_hub_whose_clock_is_not_set_starts_and_renews_once_it_is() {
        let minute = Duration::from_secs(60);
        for booted in [
            SystemTime::UNIX_EPOCH - minute,
            SystemTime::UNIX_EPOCH,
            SystemTime::UNIX_EPOCH + 40 * minute,
            SystemTime::UNIX_EPOCH + 365 * 45 * DAY,
            SystemTime::UNIX_EPOCH + 365 * 90 * DAY,
        ] {
            let data = Directory::new("unset");
            let now = SystemTime::now();
            // The first start of all, and a later one.
            for _ in 0..2 {
                let mut renewer = start(&data.0, booted).expect("it starts");
                // The file of the authority is of today.
                assert!(is_accepted(&renewer, now), "{booted:?}");
                assert!(!renewer.check(booted + minute, &[]), "it is still not set");
                assert!(renewer.check(now, &[]), "it was set");
                assert!(!renewer.check(now + minute, &[]));
                assert!(is_accepted(&renewer, now + 89 * DAY));
                // It is lost again.
                assert!(renewer.check(booted, &[]));
                assert!(!renewer.check(booted + minute, &[]));
                assert!(is_accepted(&renewer, now + 89 * DAY));
            }
        }
    }
}
