//! The doctor's findings, as text for users and as JSON for scripts.
//!
//! All output passes through here, so this module removes secrets and control characters
//! that come from a peer.

use ocelli_core::text::shown;
use ocelli_media::sources::redact;
use serde::Serialize;
use std::fmt::{self, Write};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The check passed.
    Pass,
    /// It works, but not for every client or not permanently.
    Warn,
    /// It does not work.
    Fail,
}

/// The result of one check.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The check's short name, the same in every version.
    pub check: &'static str,
    /// The result.
    pub result: Outcome,
    /// What was found, and how to fix it.
    pub message: String,
    /// The expected value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The received value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
}

/// The findings in the order of the checks.
#[derive(Debug, Default)]
pub struct Report {
    secrets: Vec<String>,
    findings: Vec<Finding>,
}

/// Hiding secrets shorter than this would hide parts of ordinary words.
const SHORTEST_SECRET: usize = 4;

/// Checks that fail if a camera serves another viewer.
const CONNECTION_CHECKS: [&str; 6] = ["tcp", "tls", "http", "rtsp", "sessions", "pictures"];

/// Parts of messages whose cause is known.
const KNOWN_CAUSES: [&str; 4] = ["401", "403", "404", "certificate"];

/// The address in advice about passwords. Its user and password are not secret.
const EXAMPLE: &str = "://user:password@host/";

/// Returns a reason with a full stop, unless it ends with a punctuation mark.
pub fn sentence(reason: &str) -> String {
    match reason.ends_with(['.', '?', '!']) {
        true => reason.to_owned(),
        false => format!("{reason}."),
    }
}

impl Report {
    /// Hides `secret` in all findings, even if a server sends it back.
    pub fn hide_secret(&mut self, secret: &str) {
        if secret.len() >= SHORTEST_SECRET {
            self.secrets.push(secret.to_owned());
        }
    }

    /// Adds a passed check.
    pub fn pass(&mut self, check: &'static str, message: impl AsRef<str>) {
        self.add(check, Outcome::Pass, message.as_ref(), None);
    }

    /// Adds a warning.
    pub fn warn(&mut self, check: &'static str, message: impl AsRef<str>) {
        self.add(check, Outcome::Warn, message.as_ref(), None);
    }

    /// Adds a failed check.
    pub fn fail(&mut self, check: &'static str, message: impl AsRef<str>) {
        self.add(check, Outcome::Fail, message.as_ref(), None);
    }

    /// Adds a failed check with the expected and the received value.
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

    /// Puts a hint in front of the failures of connecting to a camera and of its pictures. Wrong
    /// passwords and addresses have their own cause.
    pub fn explain_failures(&mut self, hint: Option<&str>) {
        let Some(hint) = hint else {
            return;
        };
        for finding in &mut self.findings {
            let is_connection = CONNECTION_CHECKS.contains(&finding.check);
            let has_cause = KNOWN_CAUSES
                .iter()
                .any(|cause| finding.message.contains(cause));
            if finding.result == Outcome::Fail && is_connection && !has_cause {
                finding.message = format!("{hint} {}", finding.message);
            }
        }
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
            message: self.sanitize(message),
            expected: expected.map(|text| self.sanitize(text)),
            received: received.map(|text| self.sanitize(text)),
        };
        self.findings.push(finding);
    }

    fn sanitize(&self, text: &str) -> String {
        let clean = |part| {
            let mut clean = redact(part);
            for secret in &self.secrets {
                clean = clean.replace(secret, "***");
            }
            shown(&clean)
        };
        let parts: Vec<_> = text.split(EXAMPLE).map(clean).collect();
        parts.join(EXAMPLE)
    }

    /// The worst result.
    pub fn outcome(&self) -> Outcome {
        let results = self.findings.iter().map(|finding| finding.result);
        results.max().unwrap_or(Outcome::Pass)
    }

    /// A one-line summary: the number of each result, with the names of failed checks and
    /// warnings.
    pub fn summary(&self) -> String {
        let names = |wanted: Outcome| {
            let found = self.findings.iter().filter(|f| f.result == wanted);
            found.map(|finding| finding.check).collect::<Vec<_>>()
        };
        let mut parts = Vec::new();
        for (outcome, word) in [(Outcome::Fail, "failed"), (Outcome::Warn, "with a warning")] {
            let names = names(outcome);
            if !names.is_empty() {
                parts.push(format!("{} {word} ({})", names.len(), names.join(", ")));
            }
        }
        parts.push(format!("{} passed", names(Outcome::Pass).len()));
        parts.join(", ")
    }

    /// The findings as a JSON array.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.findings).unwrap_or_default()
    }
}

/// The width of the longest check name, plus one space.
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
    fn secrets_and_control_characters_are_not_printed() {
        let mut report = Report::default();
        report.hide_secret("hush-hush");
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
    fn an_example_in_advice_is_not_a_secret() {
        let mut report = Report::default();
        report.hide_secret("password");
        report.fail(
            "sign-in",
            "401 at rtsp://ann:password@h/: write rtsp://user:password@host/… instead",
        );
        assert_eq!(
            report.findings[0].message,
            "401 at rtsp://***@h/: write rtsp://user:password@host/… instead"
        );
    }

    #[test]
    fn a_reason_ends_with_one_punctuation_mark() {
        assert_eq!(sentence("no answer"), "no answer.");
        assert_eq!(sentence("does it speak RTSP?"), "does it speak RTSP?");
    }

    #[test]
    fn the_worst_result_is_the_outcome() {
        let mut report = Report::default();
        assert_eq!(report.outcome(), Outcome::Pass);
        report.pass("name", "x");
        report.fail("status", "x");
        report.warn("origin", "x");
        assert_eq!(report.outcome(), Outcome::Fail);
        assert_eq!(
            report.summary(),
            "1 failed (status), 1 with a warning (origin), 1 passed"
        );
    }
}
