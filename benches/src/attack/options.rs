//! Command-line options of an attack.

use clap::Args;
use std::path::PathBuf;

/// An attack, run by `make attack`.
#[derive(Args)]
pub struct Attack {
    /// The hub's directory, on a separate small file system
    #[arg(long)]
    pub directory: PathBuf,
    /// Duration of each attack of the second part, in seconds
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Run only attacks whose family or name contains one of these, separated by commas; "siege" is
    /// the second part: thousands of connections and a full disk
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The short form that `make test` runs, without the second part
    #[arg(long)]
    pub short: bool,
}

impl Attack {
    /// Whether attacks of this family and name should run.
    pub fn selects(&self, family: &str, name: &str) -> bool {
        let known = |only: &String| family.contains(only) || name.contains(only.as_str());
        self.only.is_empty() || self.only.iter().any(known)
    }
}
