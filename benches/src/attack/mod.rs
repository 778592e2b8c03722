//! Attacks on a hub, in two parts.
//!
//! - `peers`: individual hostile peers, over plain and TLS connections, next to cameras, a
//!   viewer and `/health`. The attackers are `ocelli_testkit::hostile`, which `make test`
//!   uses too.
//! - `network`: thousands of connections and a full disk, all of it twice. `connections` makes the
//!   connections; `attackers` is the state that its threads share.

mod attackers;
mod connections;
mod network;
mod options;
mod peers;

use crate::server::Programs;
use ocelli_testkit::Result;

pub use options::Attack;

/// Runs all attacks.
///
/// # Errors
/// The message lists the attacks that exceeded a limit.
pub fn run(attack: &Attack, programs: &Programs) -> Result<()> {
    let mut bad = peers::run(attack, programs)?;
    if !attack.short && attack.selects("siege", "") {
        bad.extend(network::run(attack, programs)?);
    }
    match bad.is_empty() {
        true => Ok(()),
        false => Err(format!("attacks that exceeded a limit:\n{}", bad.join("\n")).into()),
    }
}
