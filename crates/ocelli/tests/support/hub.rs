//! The hub as a process.

use super::device::ADMIN;
use super::http::get;
use super::tempdir::Dir;
use ocelli_testkit::{Hub, HubBuilder};
use std::path::Path;
use std::process::Output;

/// The program.
pub const OCELLI: &str = env!("CARGO_BIN_EXE_ocelli");

/// Returns a builder for a hub with this configuration.
pub fn configured(dir: &Dir, text: &str) -> HubBuilder {
    Hub::builder(OCELLI)
        .args(["serve", "--config"])
        .arg(dir.write("ocelli.toml", text))
}

/// Starts a hub with its data in `data` and the administrator's token.
pub fn keeping(data: &Path) -> Hub {
    keeping_on(data, "127.0.0.1:0")
}

/// Like [`keeping`], at this address.
pub fn keeping_on(data: &Path, listen: &str) -> Hub {
    Hub::builder(OCELLI)
        .env("OCELLI_ADMIN_TOKEN", ADMIN)
        .args(["serve", "--listen", listen, "--data"])
        .arg(data)
        .start()
}

/// Returns the ids of all cameras of a hub.
pub async fn ids(hub: &Hub) -> Vec<String> {
    let listed = get(hub.addr(), "/api/v1/cameras").await.json();
    let cameras = listed["data"].as_array().expect("a list").clone();
    let ids = cameras.iter().map(|camera| camera["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// Returns the output of a program that must have succeeded.
pub fn stdout_of(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
