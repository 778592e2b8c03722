//! Reads one table of the configuration file, key by key.
//!
//! Reading a key declares it. At the end, any other key is unknown, and the nearest
//! declared key is suggested.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// An error in the configuration and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Byte range in the file, if it came from one.
    pub span: Option<Range<usize>>,
    /// What is wrong and what would be correct.
    pub message: String,
}

impl ConfigError {
    /// Creates an error. The caller can add its position with `at`.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            span: None,
            message: message.into(),
        }
    }

    /// Sets the position, unless one is set already.
    pub fn at(mut self, span: Option<Range<usize>>) -> Self {
        self.span = self.span.or(span);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// A table being read.
pub struct Section<'a> {
    /// Absent for settings from the command line: such a section has no keys.
    table: Option<&'a DeTable<'a>>,
    title: &'static str,
    known_keys: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Starts reading `table`; `title` is its name in errors, such as `[[camera]]`.
    pub fn new(table: &'a DeTable<'a>, title: &'static str) -> Self {
        Self {
            table: Some(table),
            title,
            known_keys: Vec::new(),
        }
    }

    /// Creates a table of values that are not from a file.
    pub fn table(values: Vec<(&'static str, DeValue<'static>)>) -> DeTable<'static> {
        let place = 0..0;
        let values = values.into_iter().map(|(key, value)| {
            let key = Spanned::new(place.clone(), DeString::from(key));
            (key, Spanned::new(place.clone(), value))
        });
        values.collect()
    }

    /// Creates a section without keys.
    pub fn empty(title: &'static str) -> Self {
        Self {
            table: None,
            title,
            known_keys: Vec::new(),
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known_keys.push(key);
        self.table?.get(key)
    }

    /// Returns the position of the value of `key`.
    pub fn span(&self, key: &str) -> Option<Range<usize>> {
        self.table?.get(key).map(Spanned::span)
    }

    /// Returns the error for the missing `key`. If another key looks like a misspelling of
    /// it and is not in `known`, the error is about that key; otherwise it is `fault`.
    pub fn missing(
        &self,
        key: &'static str,
        known: &[(&'static str, &'static str)],
        fault: ConfigError,
    ) -> ConfigError {
        let written = self.table.into_iter().flatten();
        let meant = written.map(|(name, _)| name).find(|name| {
            let name = name.get_ref().as_ref();
            known.iter().all(|(other, _)| *other != name) && nearest(name, &[key]).is_some()
        });
        let Some(meant) = meant else { return fault };
        let message = format!(
            "unknown key `{}` in {}; did you mean `{key}`?",
            meant.get_ref(),
            self.title
        );
        ConfigError::new(message).at(Some(meant.span()))
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        convert: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let title = self.title;
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match convert(value.get_ref()) {
            Some(found) => Ok(Some(found)),
            None => Err(ConfigError {
                span: Some(value.span()),
                message: format!("`{key}` in {title} takes {wanted}"),
            }),
        }
    }

    /// Reads a string.
    pub fn string(&mut self, key: &'static str) -> Result<Option<String>, ConfigError> {
        self.read(key, "a string in quotes", |value| {
            value.as_str().map(str::to_owned)
        })
    }

    /// Reads `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        self.read(key, "true or false", DeValue::as_bool)
    }

    /// Reads a number within `range`, whole or with a fraction.
    pub fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<Option<f64>, ConfigError> {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        self.read(key, &wanted, |value| {
            as_number(value).filter(|number| range.contains(number))
        })
    }

    /// Reads a whole number within `range`.
    pub fn whole(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, ConfigError> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.read(key, &wanted, |value| {
            let number = value.as_integer()?;
            let number = u32::from_str_radix(&number.as_str().replace('_', ""), number.radix());
            number.ok().filter(|number| range.contains(number))
        })
    }

    /// Reads a duration such as `"500ms"`, `"10s"` or `"2min"`.
    pub fn duration(&mut self, key: &'static str) -> Result<Option<Duration>, ConfigError> {
        self.read(
            key,
            "a duration such as \"500ms\", \"10s\" or \"2min\"",
            |value| value.as_str().and_then(parse_duration),
        )
    }

    /// Reads a number or a keyword, as `convert` accepts them.
    pub fn number_or_word<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        convert: impl FnOnce(Option<f64>, Option<&str>) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        self.read(key, wanted, |value| {
            convert(as_number(value), value.as_str())
        })
    }

    /// Reads a list of strings.
    pub fn strings(&mut self, key: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        self.read(key, "a list of strings, like [\"a\", \"b\"]", |value| {
            let list = value.as_array()?.iter();
            list.map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect()
        })
    }

    /// Reads a nested table.
    pub fn section(
        &mut self,
        key: &'static str,
        title: &'static str,
    ) -> Result<Option<Section<'a>>, ConfigError> {
        let table = self.read(key, "a table, like { key = value }", DeValue::as_table)?;
        Ok(table.map(|table| Section::new(table, title)))
    }

    /// Reads a list of tables, like `[[camera]]`.
    pub fn sections(
        &mut self,
        key: &'static str,
        title: &'static str,
    ) -> Result<Vec<Section<'a>>, ConfigError> {
        let list = self.read(key, "a list of tables, written [[…]]", |value| {
            let list = value.as_array()?.iter();
            list.map(|item| item.get_ref().as_table())
                .collect::<Option<Vec<_>>>()
        })?;
        let tables = list.unwrap_or_default().into_iter();
        Ok(tables.map(|table| Section::new(table, title)).collect())
    }

    /// Reads the nested tables with user-defined names, like `[app.live]`.
    pub fn named_sections(
        &mut self,
        title: &'static str,
    ) -> Result<Vec<(String, Range<usize>, Section<'a>)>, ConfigError> {
        let mut found = Vec::new();
        for (key, value) in self.table.into_iter().flatten() {
            let Some(table) = value.get_ref().as_table() else {
                return Err(ConfigError {
                    span: Some(key.span()),
                    message: format!("`{}` should be a table, written {title}", key.get_ref()),
                });
            };
            let name = key.get_ref().to_string();
            found.push((name, key.span(), Section::new(table, title)));
        }
        Ok(found)
    }

    /// Ends reading. A key that was not read is an error.
    ///
    /// # Errors
    /// Returns an error with the key, its position and the nearest known key.
    pub fn finish(self) -> Result<(), ConfigError> {
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if self.known_keys.contains(&name) {
                continue;
            }
            let hint = match nearest(name, &self.known_keys) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it takes {}", join_keys(&self.known_keys)),
            };
            return Err(ConfigError {
                span: Some(key.span()),
                message: format!("unknown key `{name}` in {}; {hint}", self.title),
            });
        }
        Ok(())
    }
}

fn as_number(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return None,
    };
    text.replace('_', "").parse().ok()
}

fn join_keys(keys: &[&'static str]) -> String {
    let mut keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
    keys.sort();
    keys.dedup();
    keys.join(", ")
}

/// Returns the known word nearest to what was written, if one is near: per three letters,
/// one may be wrong, missing, extra or swapped with its neighbour. Of equally near words,
/// the first.
pub fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let scored = known
        .iter()
        .map(|&word| (strsim::osa_distance(written, word), word));
    scored
        .filter(|(distance, word)| *distance <= word.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Reads `"500ms"`, `"10s"`, `"2min"`, `"1h"`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..split].trim().parse().ok()?;
    let unit = match &text[split..] {
        "ms" => 1e-3,
        "s" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok()
}

/// Reads a size in pixels, `"640x480"`.
pub fn parse_size(text: &str) -> Option<(u16, u16)> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (16..=8192).contains(side));
    Some((side(width)?, side(height)?))
}

/// Reads an address to listen on, `ADDRESS:PORT`.
///
/// # Errors
/// Returns an error that describes such an address.
pub fn parse_listen(text: &str) -> Result<SocketAddr, ConfigError> {
    let with_host = text.replace("localhost:", "127.0.0.1:");
    with_host.parse().map_err(|_| {
        ConfigError::new(format!(
            "{text:?} is not an address to listen on; write ADDRESS:PORT, like \"127.0.0.1:8080\" \
             for this machine only or \"0.0.0.0:8080\" for the whole network"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("2min"), Some(Duration::from_secs(120)));
        for bad in ["", "10", "s", "-1s", "1y", "1e400s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(parse_size("640x480"), Some((640, 480)));
        for bad in ["640", "640x", "0x0", "99999x2", "640x480x2"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_unknown_key_error_suggests_the_nearest_key() {
        let text = "sorce = 'x'\nname = 'y'\n";
        let table = DeTable::parse(text).expect("TOML");
        let mut section = Section::new(table.get_ref(), "[[camera]]");
        for key in ["source", "name", "keep"] {
            section.string(key).expect("readable");
        }
        let error = section.finish().expect_err("unknown key");
        assert_eq!(
            error.message,
            "unknown key `sorce` in [[camera]]; did you mean `source`?"
        );
        assert_eq!(error.span, Some(0..5));
    }
}
