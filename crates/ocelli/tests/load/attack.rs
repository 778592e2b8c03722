//! The short form of `make attack`: each hostile peer attacks for a second or two. The other
//! cameras must keep their frame rate, `/health` must answer in time, and the hub's memory must
//! stay bounded and be released.

use super::ALONE;
use crate::support::hub::OCELLI;
use crate::support::tempdir::Dir;
use ocelli_testkit::hostile::{Form, Stage, Transport, attacks};
use std::path::PathBuf;

/// Runs all attacks of the short form over this transport against one hub.
fn withstands(transport: Transport) {
    let _alone = ALONE.blocking_lock();
    let binary = std::env::var_os("OCELLI_BIN").map_or_else(|| OCELLI.into(), PathBuf::from);
    let dir = Dir::new("attack");
    let stage = Stage::start(&binary, &dir.0, transport, Form::Short);
    let mut stage = stage.unwrap_or_else(|error| panic!("no hub to attack: {error}"));
    let mut failures = Vec::new();
    let mut count = 0;
    for attack in attacks() {
        if !attack.is_over(transport, Form::Short) {
            continue;
        }
        let outcome = stage.run(&attack);
        let outcome = outcome.unwrap_or_else(|error| panic!("{}: {error}", attack.name));
        println!("{outcome}");
        failures.extend(outcome.failures());
        count += 1;
    }
    assert!(count > 5, "only {count} attacks");
    assert!(
        failures.is_empty(),
        "attacks that exceeded a limit:\n{}",
        failures.join("\n")
    );
}

#[test]
fn the_hub_withstands_hostile_peers_over_plain_connections() {
    withstands(Transport::Plain);
}

#[test]
#[ignore = "part of `make test-full`: most attacks are the same as without TLS"]
fn the_hub_withstands_hostile_peers_over_tls() {
    withstands(Transport::Tls);
}
