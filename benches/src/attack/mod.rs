//! Attacks on a hub, in two parts.
//!
//! - `peers`: single hostile peers, over plain and TLS connections, beside cameras, a
//!   viewer and `/health`. The attackers are `ocelli_testkit::hostile`, which `make test`
//!   uses too.
//! - `siege`: crowds of connections and a full disk, all of it twice. `crowds` makes the
//!   connections.

mod crowds;
mod peers;
mod siege;

use crate::Result;
use crate::server::Programs;
use clap::Args;
use std::path::PathBuf;

/// An attack, run by `make attack`.
#[derive(Args)]
pub struct Attack {
    /// The hub's directory, on a small file system of its own
    #[arg(long)]
    directory: PathBuf,
    /// How long each crowd of connections attacks
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only attacks whose family or name contains one of these, with commas between; "siege" is the second part
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The short form that `make test` runs, without the second part
    #[arg(long)]
    short: bool,
}

impl Attack {
    /// Runs them all.
    ///
    /// # Errors
    /// The attacks that exceeded a limit.
    pub fn run(&self, programs: &Programs) -> Result<()> {
        let mut bad = peers::run(self, programs)?;
        if !self.short && self.wants("siege", "") {
            bad.extend(siege::run(self, programs)?);
        }
        match bad.is_empty() {
            true => Ok(()),
            false => Err(format!("attacks that exceeded a limit:\n{}", bad.join("\n")).into()),
        }
    }

    fn wants(&self, family: &str, name: &str) -> bool {
        let known = |only: &String| family.contains(only) || name.contains(only.as_str());
        self.only.is_empty() || self.only.iter().any(known)
    }
}
