//! Keeps the certificate that is shown good while the hub runs: renews it, follows
//! the machine's addresses, reads files again.

use super::authority::{Authority, Certificate, Issued, Names};
use super::files::{Files, Watch};
use super::{Server, TlsError};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::time::{MissedTickBehavior, interval};

/// How often is looked whether something is to be done. To look costs two calls of
/// the kernel.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Where the certificate comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// There is none: everything is plain.
    #[default]
    Off,
    /// The hub's own authority, which also vouches for these names.
    Local(Vec<String>),
    /// A pair of files.
    Files(Files),
}

impl Mode {
    /// What the command line says in place of the configuration.
    ///
    /// # Errors
    /// There is no such mode, or it needs what only a configuration has.
    pub fn override_with(self, word: &str) -> Result<Self, String> {
        match (word, self) {
            ("off", _) => Ok(Self::Off),
            ("local", local @ Self::Local(_)) => Ok(local),
            ("local", _) => Ok(Self::Local(Vec::new())),
            ("files", files @ Self::Files(_)) => Ok(files),
            ("files", _) => {
                Err("--tls files needs a configuration with `cert` and `key` in [tls]".to_owned())
            }
            (other, _) => Err(format!("--tls takes local, files or off, not {other:?}")),
        }
    }
}

/// Keeps one server's certificate good.
pub struct Keeper {
    server: Server,
    source: Source,
}

enum Source {
    Authority {
        authority: Box<Authority>,
        /// The names that stay, whatever addresses the machine has.
        lasting: Names,
        signed: Names,
        fresh: std::ops::Range<SystemTime>,
    },
    Files(Watch),
}

impl Keeper {
    /// By the authority in the directory `data`, for the names that last and the
    /// machine's present addresses.
    ///
    /// # Errors
    /// The authority can't be read or made.
    pub fn of_authority(
        data: &Path,
        lasting: Names,
        addresses: &[IpAddr],
        now: SystemTime,
    ) -> Result<(Self, Certificate), TlsError> {
        let authority = Authority::keep(data, now)?;
        let signed = with(&lasting, addresses);
        let Issued { key, fresh } = authority.issue(&signed, now)?;
        let certificate = authority.certificate().clone();
        let keeper = Self {
            server: Server::new(key)?,
            source: Source::Authority {
                authority: Box::new(authority),
                lasting,
                signed,
                fresh,
            },
        };
        Ok((keeper, certificate))
    }

    /// By a pair of files.
    ///
    /// # Errors
    /// Says which file is wrong and how.
    pub fn of_files(files: Files) -> Result<Self, TlsError> {
        let (watch, key) = Watch::begin(files)?;
        Ok(Self {
            server: Server::new(key)?,
            source: Source::Files(watch),
        })
    }

    /// What shakes hands.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Looks whether another certificate is to be shown; true if it is shown now.
    pub fn look(&mut self, now: SystemTime, addresses: &[IpAddr]) -> bool {
        let (key, why) = match &mut self.source {
            Source::Files(watch) => match watch.look() {
                Some(Ok(key)) => (key, "its files changed and were read again"),
                Some(Err(error)) => {
                    tracing::error!(
                        "{error}. The certificate that was read before goes on being shown"
                    );
                    return false;
                }
                None => return false,
            },
            Source::Authority {
                authority,
                lasting,
                signed,
                fresh,
            } => {
                let names = with(lasting, addresses);
                let moved = names != *signed;
                if fresh.contains(&now) && !moved {
                    return false;
                }
                match authority.issue(&names, now) {
                    Ok(issued) => {
                        (*signed, *fresh) = (names, issued.fresh);
                        let why = match moved {
                            true => "the machine has other addresses",
                            false => "the last one grew old",
                        };
                        (issued.key, why)
                    }
                    Err(error) => {
                        tracing::error!(%error, "can't make a new certificate");
                        return false;
                    }
                }
            }
        };
        self.server.show(key);
        tracing::info!(why, "the hub shows a new certificate");
        true
    }

    /// Looks again and again.
    pub async fn run(mut self) {
        let mut ticks = interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A file may be on a slow disk, and the frame path waits for none.
            let looked = tokio::task::spawn_blocking(move || {
                self.look(SystemTime::now(), &crate::origin_policy::own_addresses());
                self
            });
            self = match looked.await {
                Ok(keeper) => keeper,
                Err(error) => {
                    tracing::error!(%error, "the certificate is no more looked after");
                    return;
                }
            };
        }
    }
}

fn with(lasting: &Names, addresses: &[IpAddr]) -> Names {
    let mut names = lasting.clone();
    addresses
        .iter()
        .for_each(|address| names.add_address(*address));
    names
}
