//! What a hub has to bear, in two parts.
//!
//! - `peers`: single hostile peers, over plain and TLS connections, beside cameras, a
//!   viewer and `/health`. The attackers are `ocelli_testkit::hostile`, which `make test`
//!   uses too.
//! - `siege`: more connections than the hub takes, a full disk; all of it twice. `crowds`
//!   are the connections.

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
    /// How long each crowd of connections stays
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only single peers whose family or name has one of these in it, with commas between; "siege" for the rest
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Each for a moment, as `make test` has it, and no siege
    #[arg(long)]
    short: bool,
}

impl Attack {
    /// Runs them all.
    ///
    /// # Errors
    /// What the hub did not bear.
    pub fn run(&self, programs: &Programs) -> Result<()> {
        let mut bad = peers::run(self, programs)?;
        if !self.short && self.wants("siege", "") {
            bad.extend(siege::run(self, programs)?);
        }
        match bad.is_empty() {
            true => Ok(()),
            false => Err(format!("not borne:\n{}", bad.join("\n")).into()),
        }
    }

    fn wants(&self, family: &str, name: &str) -> bool {
        let known = |only: &String| family.contains(only) || name.contains(only.as_str());
        self.only.is_empty() || self.only.iter().any(known)
    }
}
