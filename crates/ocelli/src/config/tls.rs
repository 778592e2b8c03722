//! `[tls]`.

use ocelli_config::{ConfigError, Section, nearest};
use ocelli_net::tls::files::Files;
use ocelli_net::tls::renewal::Mode;

/// The keys of `[tls]`: name and meaning.
pub const TLS_OPTIONS: &[(&str, &str)] = &[
    (
        "mode",
        "\"off\" (the default), \"local\" (a certificate from the hub's own certificate authority) or \"files\"",
    ),
    (
        "names",
        "with \"local\": further names in the certificate, besides the machine's own names and addresses, `allowed_hosts` and `public_url`",
    ),
    (
        "cert",
        "with \"files\": a PEM file with the certificate chain, the server's certificate first; read again when it changes",
    ),
    (
        "key",
        "with \"files\": a PEM file with the certificate's private key",
    ),
];

const MODES: [&str; 3] = ["off", "local", "files"];

/// Reads `[tls]`.
pub fn read(mut section: Section<'_>) -> Result<Mode, ConfigError> {
    let mode = section.string("mode")?;
    let names = section.strings("names")?;
    let (cert, key) = (section.string("cert")?, section.string("key")?);
    let (at_names, at_cert) = (section.span("names"), section.span("cert"));
    let (at_mode, at_key) = (section.span("mode"), section.span("key"));
    let Some(mode) = mode else {
        let fault = ConfigError::new("[tls] needs `mode`: \"off\", \"local\" or \"files\"");
        let fault = section.missing("mode", TLS_OPTIONS, fault);
        return Err(fault.at(at_names.or(at_cert).or(at_key)));
    };
    section.finish()?;
    let only = |message: &str, at| Err(ConfigError::new(message).at(at));
    match mode.as_str() {
        "off" => Ok(Mode::Off),
        "local" if cert.is_some() || key.is_some() => only(
            "`cert` and `key` belong to mode = \"files\"",
            at_cert.or(at_key),
        ),
        "local" => Ok(Mode::Local(names.unwrap_or_default())),
        "files" if names.is_some() => only("`names` belongs to mode = \"local\"", at_names),
        "files" => match (cert, key) {
            (Some(cert), Some(key)) => Ok(Mode::Files(Files {
                cert: cert.into(),
                key: key.into(),
            })),
            _ => only(
                "mode = \"files\" needs `cert` and `key`, two PEM files",
                at_mode,
            ),
        },
        other => {
            let hint = match nearest(other, &MODES) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "the modes are \"off\", \"local\" and \"files\"".to_owned(),
            };
            only(&format!("there is no TLS mode {other:?}; {hint}"), at_mode)
        }
    }
}
