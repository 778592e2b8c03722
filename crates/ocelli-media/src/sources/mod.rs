//! Everything that brings pictures in. A new kind of source is one file here and
//! one line in [`KINDS`]; help, reference page and listings come from that list.
//! [`push`] alone is not in it: such a camera has a key instead of an address.
//!
//! What does not belong here: when to start, retry or stop. That is
//! `ocelli_core::upstream`.

mod address;
mod authorities;
mod capture_clock;
mod exec;
mod ffmpeg;
mod file;
mod format;
mod http;
mod kind;
mod pace;
mod pattern;
mod pipe;
pub mod push;
mod reach;
pub mod rtsp;
mod ssrf_guard;
mod v4l2;

pub use address::{Address, Credentials, redact};
#[cfg(fuzzing)]
pub use format::bare_pictures;
#[cfg(fuzzing)]
pub use http::{multipart_parts, read_answer};
pub use kind::{Kind, Open};
pub use ssrf_guard::{REFUSED, SsrfGuard};

use ocelli_config::{ConfigError, Section, nearest};
use ocelli_core::Source;
use std::sync::Arc;

/// All kinds of source.
pub const KINDS: &[Kind] = &[
    rtsp::KIND,
    http::KIND,
    ffmpeg::KIND,
    exec::KIND,
    v4l2::KIND,
    pipe::KIND,
    file::KIND,
    pattern::KIND,
];

/// The kinds that may be added over HTTP. The others start programs or read what
/// is on this machine, which only who writes the configuration decides on.
const ADDABLE: [&str; 2] = [rtsp::KIND.name, http::KIND.name];

/// Makes the source for an address.
///
/// # Errors
/// Nobody takes such an address, or its kind refuses it or its options.
pub fn open(
    address: Address,
    options: &mut Section<'_>,
) -> Result<(&'static str, Arc<dyn Source>), ConfigError> {
    let scheme = address.scheme();
    let kind = KINDS.iter().find(|kind| kind.schemes.contains(&scheme));
    if address.ssrf_guard.is_some() && kind.is_none_or(|kind| !ADDABLE.contains(&kind.name)) {
        return Err(ConfigError::new(
            "a camera that is added over HTTP has an address that begins with rtsp:, http: or \
             https:; programs, files, devices and ffmpeg's inputs come only from the \
             configuration file",
        ));
    }
    let Some(kind) = kind else {
        let known: Vec<_> = KINDS
            .iter()
            .flat_map(|kind| kind.schemes)
            .copied()
            .collect();
        let hint = match nearest(scheme, &known) {
            Some(near) => format!("did you mean `{near}:`?"),
            None => format!("it should begin with one of {}", prefixes(&known)),
        };
        return Err(ConfigError::new(format!(
            "no kind of source takes {:?}; {hint}",
            address.redacted()
        )));
    };
    Ok((kind.name, (kind.open)(address, options)?))
}

fn prefixes(schemes: &[&str]) -> String {
    let prefixes: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}:")).collect();
    prefixes.join(", ")
}
