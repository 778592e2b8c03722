//! Hostile peers beside cameras, a viewer and `/health`: the short form of `make attack`.
//! Each attack lasts a moment. The others must keep their pictures, and the hub's memory
//! must stay within its bound and be given back.

#[path = "../support/tempdir.rs"]
mod tempdir;

use ocelli_testkit::hostile::{Form, Stage, Transport, attacks};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tempdir::Dir;

const OCELLI: &str = env!("CARGO_BIN_EXE_ocelli");
/// What is measured here is time, so that one at a time is enough.
static ALONE: Mutex<()> = Mutex::new(());

/// Has a hub bear all attacks of these families.
fn bears(families: &[&str]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let binary = std::env::var_os("OCELLI_BIN").map_or_else(|| OCELLI.into(), PathBuf::from);
    let mut failures = Vec::new();
    let mut borne = 0;
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
            let outcome = stage.bear(&attack);
            let outcome = outcome.unwrap_or_else(|error| panic!("{}: {error}", attack.name));
            println!("{outcome}");
            failures.extend(outcome.failures());
            borne += 1;
        }
    }
    assert!(borne > 0, "no attack is of {families:?}");
    assert!(failures.is_empty(), "not borne:\n{}", failures.join("\n"));
}

#[test]
fn hostile_rtsp_cameras() {
    bears(&["rtsp"]);
}

#[test]
fn hostile_http_cameras() {
    bears(&["http"]);
}

#[test]
fn viewers_that_flood_their_sockets() {
    bears(&["sockets"]);
}

#[test]
fn clients_that_flood_http_and_tls() {
    bears(&["requests", "http2", "handshakes"]);
}

#[test]
fn devices_that_push_too_much_or_never_end() {
    bears(&["devices"]);
}

#[test]
fn wrong_passwords() {
    bears(&["passwords"]);
}

#[test]
fn series_viewers_and_sources() {
    bears(&["series"]);
}

#[test]
fn pictures_that_are_bombs_and_too_many_encoders() {
    bears(&["pictures"]);
}
