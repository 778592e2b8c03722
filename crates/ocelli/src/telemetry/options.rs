//! What the configuration says of telemetry: `[telemetry]`.

use ocelli_config::{ConfigError, Section, parse_listen};
use ocelli_series::Bounds;
use std::net::SocketAddr;

/// The keys of `[telemetry]`: name and meaning.
pub const OPTIONS: &[(&str, &str)] = &[
    (
        "tcp",
        "ADDRESS:PORT for sources of samples; \"127.0.0.1:9876\" (this machine only) by default, \"\" for none",
    ),
    (
        "ws",
        "ADDRESS:PORT for viewers of what came there; \"127.0.0.1:9877\" by default, \"\" for none",
    ),
    (
        "max_series",
        "how many series there may be; 10000 by default",
    ),
    (
        "max_samples",
        "how many samples of each are kept, older ones being thinned; 100000 by default",
    ),
    (
        "max_days",
        "for how many days samples are kept; 90 by default",
    ),
];

/// Where sources and viewers come, and what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where sources come; none if `Some(None)`, the usual place if nobody said.
    pub tcp: Option<Option<SocketAddr>>,
    /// Where viewers of what came there come, likewise.
    pub ws: Option<Option<SocketAddr>>,
    /// What is kept.
    pub bounds: Bounds,
}

impl Options {
    /// Reads `[telemetry]`.
    ///
    /// # Errors
    /// The first fault.
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

    /// Where sources and viewers come, for a hub that listens on `main`. One that
    /// took any free port takes any here too, unless somebody said otherwise: there
    /// may be several of them on a machine.
    pub fn addresses(&self, main: SocketAddr) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let usual = |port: u16| {
            let port = if main.port() == 0 { 0 } else { port };
            Some(SocketAddr::from(([127, 0, 0, 1], port)))
        };
        (
            self.tcp.unwrap_or(usual(9876)),
            self.ws.unwrap_or(usual(9877)),
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
    fn nobody_need_say_where_and_how_much() {
        let options = Options::default();
        let main = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let said = options.addresses(main(8080));
        let told = |said: (Option<SocketAddr>, Option<SocketAddr>)| {
            [said.0, said.1].map(|address| address.map(|address| address.to_string()))
        };
        // This machine alone, wherever the pages are.
        let usual = ["127.0.0.1:9876", "127.0.0.1:9877"];
        assert_eq!(told(said), usual.map(|address| Some(address.to_owned())));
        let any = ["127.0.0.1:0", "127.0.0.1:0"];
        assert_eq!(
            told(options.addresses(main(0))),
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
