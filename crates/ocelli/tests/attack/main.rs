//! The short form of `make attack`: each hostile peer attacks for a second or two. The other
//! cameras must keep their frame rate, `/health` must answer in time, and the hub's memory
//! must stay bounded and be given back.

#[allow(dead_code, reason = "shared with other tests")]
#[path = "../support/tempdir.rs"]
mod tempdir;

use ocelli_testkit::hostile::{Form, Stage, Transport, attacks};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tempdir::Dir;

const OCELLI: &str = env!("CARGO_BIN_EXE_ocelli");
/// These tests measure times, so they run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs all attacks of these families against a hub.
fn withstands(families: &[&str]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let binary = std::env::var_os("OCELLI_BIN").map_or_else(|| OCELLI.into(), PathBuf::from);
    let mut failures = Vec::new();
    let mut count = 0;
    for transport in [Transport::Plain, Transport::Tls] {
        let wanted = attacks().into_iter().filter(|attack| {
            families.contains(&attack.family) && attack.is_over(transport, Form::Short)
        });
        let wanted: Vec<_> = wanted.collect();
        if wanted.is_empty() {
            continue;
        }
        let dir = Dir::new("attack");
        let stage = Stage::start(&binary, &dir.0, transport, Form::Short);
        let mut stage = stage.unwrap_or_else(|error| panic!("no hub to attack: {error}"));
        for attack in wanted {
            let outcome = stage.run(&attack);
            let outcome = outcome.unwrap_or_else(|error| panic!("{}: {error}", attack.name));
            println!("{outcome}");
            failures.extend(outcome.failures());
            count += 1;
        }
    }
    assert!(count > 0, "no attack is of {families:?}");
    assert!(
        failures.is_empty(),
        "attacks that exceeded a limit:\n{}",
        failures.join("\n")
    );
}

#[test]
fn hostile_rtsp_cameras() {
    withstands(&["rtsp"]);
}

#[test]
fn hostile_http_cameras() {
    withstands(&["http"]);
}

#[test]
fn viewers_that_flood_their_sockets() {
    withstands(&["sockets"]);
}

#[test]
fn clients_that_flood_http_and_tls() {
    withstands(&["requests", "http2", "handshakes"]);
}

#[test]
fn devices_that_push_too_much_or_never_end() {
    withstands(&["devices"]);
}

#[test]
fn wrong_passwords() {
    withstands(&["passwords"]);
}

#[test]
fn series_viewers_and_sources() {
    withstands(&["series"]);
}

#[test]
fn pictures_that_are_bombs_and_too_many_encoders() {
    withstands(&["pictures"]);
}
