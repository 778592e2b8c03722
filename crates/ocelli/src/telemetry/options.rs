//! The `[telemetry]` section of the configuration.

use ocelli_config::{ConfigError, Section, parse_listen};
use ocelli_series::Bounds;
use std::net::SocketAddr;

/// The keys of `[telemetry]`: name and meaning.
pub const OPTIONS: &[(&str, &str)] = &[
    (
        "tcp",
        "ADDRESS:PORT for sources of samples; \"127.0.0.1:9876\" (this machine only) by default, \"\" turns it off",
    ),
    (
        "ws",
        "ADDRESS:PORT for viewers of the samples from that port; \"127.0.0.1:9877\" by default, \"\" turns it off",
    ),
    (
        "max_series",
        "the maximum number of series; 10000 by default",
    ),
    (
        "max_samples",
        "how many samples are kept per series, with older ones thinned out; 100000 by default",
    ),
    ("max_days", "how many days samples are kept; 90 by default"),
];

/// The ports of telemetry, and how much is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The address for sources: `Some(None)` turns it off, `None` means the default address.
    pub tcp: Option<Option<SocketAddr>>,
    /// The address for viewers of those samples, in the same form.
    pub ws: Option<Option<SocketAddr>>,
    /// The limits for stored samples.
    pub bounds: Bounds,
}

impl Options {
    /// Reads `[telemetry]`.
    ///
    /// # Errors
    /// The first error.
    pub fn read(mut section: Section<'_>) -> Result<Self, ConfigError> {
        let mut options = Self {
            tcp: address(&mut section, "tcp")?,
            ws: address(&mut section, "ws")?,
            bounds: Bounds::default(),
        };
        let bounds = &mut options.bounds;
        if let Some(series) = section.whole("max_series", 1..=100_000)? {
            bounds.series = series as usize;
        }
        if let Some(samples) = section.whole("max_samples", 2000..=10_000_000)? {
            bounds.samples = samples as usize;
        }
        if let Some(days) = section.whole("max_days", 1..=36_500)? {
            bounds.age = u64::from(days) * 24 * 3600 * 1000;
        }
        section.finish()?;
        Ok(options)
    }

    /// The addresses for sources and viewers, for a hub that listens on `main`. A hub on any
    /// free port uses any free ports here too, unless they are configured, because several such
    /// hubs may run on one machine.
    pub fn addresses(&self, main: SocketAddr) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let default_address = |port: u16| {
            let port = if main.port() == 0 { 0 } else { port };
            Some(SocketAddr::from(([127, 0, 0, 1], port)))
        };
        (
            self.tcp.unwrap_or(default_address(9876)),
            self.ws.unwrap_or(default_address(9877)),
        )
    }
}

fn address(
    section: &mut Section<'_>,
    key: &'static str,
) -> Result<Option<Option<SocketAddr>>, ConfigError> {
    match section.string(key)? {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(Some(None)),
        Some(text) => {
            let address = parse_listen(&text).map_err(|error| error.at(section.span(key)))?;
            Ok(Some(Some(address)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_have_defaults() {
        let options = Options::default();
        let main = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let addresses = options.addresses(main(8080));
        let as_text = |addresses: (Option<SocketAddr>, Option<SocketAddr>)| {
            [addresses.0, addresses.1].map(|address| address.map(|address| address.to_string()))
        };
        // This machine only, whatever address the pages are served on.
        let default_address = ["127.0.0.1:9876", "127.0.0.1:9877"];
        assert_eq!(
            as_text(addresses),
            default_address.map(|address| Some(address.to_owned()))
        );
        let any = ["127.0.0.1:0", "127.0.0.1:0"];
        assert_eq!(
            as_text(options.addresses(main(0))),
            any.map(|address| Some(address.to_owned()))
        );
        let off = Options {
            tcp: Some(None),
            ..Options::default()
        };
        assert_eq!(off.addresses(main(8080)).0, None);
        let bounds = options.bounds;
        assert_eq!((bounds.series, bounds.samples), (10_000, 100_000));
    }
}
