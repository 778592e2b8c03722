//! The source kinds. A new kind needs one file here and one line in [`KINDS`]; the help, the
//! reference page and the listings are made from that list. Only [`push`] is not in the list,
//! because such a camera has a key instead of an address.
//!
//! When to start, retry or stop a source is decided in `ocelli_core::upstream`.

mod address;
mod auth_scheme;
mod capture_clock;
mod digest;
mod exec;
mod ffmpeg;
mod file;
mod first_bytes;
mod format;
mod http;
mod kind;
mod network_failure;
mod pace;
mod parameter_sets;
mod pattern;
mod pipe;
pub mod push;
mod raw;
pub mod rtsp;
mod sound_request;
mod ssrf_guard;
mod tls_fault;
mod tls_trust;
mod transport;
mod transport_sound;
mod v4l2;

pub use address::{Address, Credentials, redact};
#[cfg(fuzzing)]
pub use format::bare_pictures;
#[cfg(fuzzing)]
pub use http::{multipart_pictures, read_response};
pub use kind::{Kind, Open};
pub use sound_request::SoundRequest;
pub use ssrf_guard::{REFUSED, SsrfGuard};
pub use tls_fault::{TlsFault, certificate_fault};
pub use tls_trust::{NoClientCertificate, connect as connect_tls};

use ocelli_config::{ConfigError, Section, nearest};
use ocelli_core::Source;
use std::sync::Arc;

/// All source kinds.
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

/// The kinds that may be added over HTTP. The others start programs or read local files and
/// devices, so only the configuration file can add them.
const ADDABLE: [&str; 2] = [rtsp::KIND.name, http::KIND.name];

/// Creates the source for an address.
///
/// # Errors
/// No kind accepts the address, or its kind rejects the address or the options.
pub fn open(
    address: Address,
    options: &mut Section<'_>,
) -> Result<(&'static str, Arc<dyn Source>), ConfigError> {
    if let Some(escapes) = address.ambiguity() {
        return Err(ConfigError::new(format!(
            "the password in the address can't be told from the rest: in a password, write {escapes}"
        )));
    }
    let scheme = address.scheme();
    let kind = KINDS.iter().find(|kind| kind.schemes.contains(&scheme));
    if address.ssrf_guard.is_some() && kind.is_none_or(|kind| !ADDABLE.contains(&kind.name)) {
        return Err(ConfigError::new(
            "the address must begin with rtsp://, rtsps://, http:// or https://; cameras of \
             other kinds (programs, files, USB cameras, ffmpeg inputs) can be added only in the \
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
            _ if scheme == "tcp" => "to let ffmpeg read it, write ffmpeg:tcp://…".to_owned(),
            _ if scheme.is_empty() && address.bare().contains('/') => {
                "for a file, write file: in front of its path".to_owned()
            }
            Some(near) => format!("did you mean `{near}:`?"),
            None => format!("it should begin with one of {}", prefixes(&known)),
        };
        return Err(ConfigError::new(format!(
            "no source kind accepts {:?}; {hint}",
            address.redacted()
        )));
    };
    Ok((kind.name, (kind.open)(address, options)?))
}

fn prefixes(schemes: &[&str]) -> String {
    let prefixes: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}:")).collect();
    prefixes.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_kind_gets_advice() {
        for (written, advice) in [
            (
                "/srv/yard.mp4",
                "for a file, write file: in front of its path",
            ),
            (
                "films/yard.mp4",
                "for a file, write file: in front of its path",
            ),
            ("tcp://10.0.0.7:5000", "write ffmpeg:tcp://…"),
            ("rstp://10.0.0.7/a", "did you mean `rtsp:`?"),
        ] {
            let opened = open(Address::new(written), &mut Section::empty("a test"));
            let reason = opened.err().map(|error| error.to_string());
            assert!(
                reason.as_ref().is_some_and(|it| it.contains(advice)),
                "{reason:?}"
            );
        }
    }
}
