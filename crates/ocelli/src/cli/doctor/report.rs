//! What the doctor found, as text for people and as JSON for scripts.
//!
//! Everything passes through here on its way out, so this is where secrets and
//! a stranger's control characters are stopped.

use ocelli_core::text::shown;
use ocelli_media::sources::redact;
use serde::Serialize;
use std::fmt::{self, Write};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// It works, but not for everybody or not for ever.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// A short name, the same in every version.
    pub check: &'static str,
    /// How it went.
    pub result: Outcome,
    /// What was found, and how to mend it if it needs mending.
    pub message: String,
    /// What should have come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What came in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
}

/// The findings in the order in which they were made.
#[derive(Debug, Default)]
pub struct Report {
    secrets: Vec<String>,
    findings: Vec<Finding>,
}

/// A secret shorter than this would hide half of every sentence.
const SHORTEST_SECRET: usize = 4;

impl Report {
    /// Never to be shown, whoever sends it back.
    pub fn conceal(&mut self, secret: &str) {
        if secret.len() >= SHORTEST_SECRET {
            self.secrets.push(secret.to_owned());
        }
    }

    /// All is well.
    pub fn pass(&mut self, check: &'static str, message: impl AsRef<str>) {
        self.add(check, Outcome::Pass, message.as_ref(), None);
    }

    /// Somebody should know.
    pub fn warn(&mut self, check: &'static str, message: impl AsRef<str>) {
        self.add(check, Outcome::Warn, message.as_ref(), None);
    }

    /// It is broken.
    pub fn fail(&mut self, check: &'static str, message: impl AsRef<str>) {
        self.add(check, Outcome::Fail, message.as_ref(), None);
    }

    /// It is broken, and this is what should have come beside what came.
    pub fn mismatch(
        &mut self,
        check: &'static str,
        message: impl AsRef<str>,
        expected: &str,
        received: &str,
    ) {
        let both = Some((expected, received));
        self.add(check, Outcome::Fail, message.as_ref(), both);
    }

    fn add(
        &mut self,
        check: &'static str,
        result: Outcome,
        message: &str,
        compared: Option<(&str, &str)>,
    ) {
        let (expected, received) = compared.unzip();
        let finding = Finding {
            check,
            result,
            message: self.clean(message),
            expected: expected.map(|text| self.clean(text)),
            received: received.map(|text| self.clean(text)),
        };
        self.findings.push(finding);
    }

    fn clean(&self, text: &str) -> String {
        let mut clean = redact(text);
        for secret in &self.secrets {
            clean = clean.replace(secret, "***");
        }
        shown(&clean)
    }

    /// The worst of it.
    pub fn outcome(&self) -> Outcome {
        let results = self.findings.iter().map(|finding| finding.result);
        results.max().unwrap_or(Outcome::Pass)
    }

    /// In one line: how much of each, the bad ones by name.
    pub fn summary(&self) -> String {
        let names = |wanted: Outcome| {
            let found = self.findings.iter().filter(|f| f.result == wanted);
            found.map(|finding| finding.check).collect::<Vec<_>>()
        };
        let mut parts = Vec::new();
        for (outcome, word) in [
            (Outcome::Fail, "failed"),
            (Outcome::Warn, "to be looked at"),
        ] {
            let names = names(outcome);
            if !names.is_empty() {
                parts.push(format!("{} {word} ({})", names.len(), names.join(", ")));
            }
        }
        parts.push(format!("{} passed", names(Outcome::Pass).len()));
        parts.join(", ")
    }

    /// An array of findings.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.findings).unwrap_or_default()
    }
}

/// The width of the longest name of a check, and a space.
const NAME: usize = 15;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let word = match finding.result {
                Outcome::Pass => "pass",
                Outcome::Warn => "WARN",
                Outcome::Fail => "FAIL",
            };
            writeln!(f, "{word}  {:<NAME$}{}", finding.check, finding.message)?;
            for (word, text) in [
                ("expected", &finding.expected),
                ("received", &finding.received),
            ] {
                if let Some(text) = text {
                    writeln!(f, "      {:NAME$}{word}: {text}", "")?;
                }
            }
        }
        f.write_char('\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_control_characters_stay_inside() {
        let mut report = Report::default();
        report.conceal("hush-hush");
        report.warn(
            "status",
            "it says \x1b[2J hush-hush at ws://u:p@h/?token=abc",
        );
        assert_eq!(
            report.findings[0].message,
            "it says \\u{1b}[2J *** at ws://***@h/?token=***"
        );
    }

    #[test]
    fn the_worst_counts() {
        let mut report = Report::default();
        assert_eq!(report.outcome(), Outcome::Pass);
        report.pass("name", "x");
        report.fail("status", "x");
        report.warn("origin", "x");
        assert_eq!(report.outcome(), Outcome::Fail);
        assert_eq!(
            report.summary(),
            "1 failed (status), 1 to be looked at (origin), 1 passed"
        );
    }
}
