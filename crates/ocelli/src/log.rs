//! The log: lines on standard error, for people or for programs.

use crate::config::{Log, LogFormat};
use ocelli_core::text::{printable, shown};
use serde_json::{Value, json};
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

/// The variable that goes before the configuration's level; it takes what
/// `tracing_subscriber::EnvFilter` reads.
const VARIABLE: &str = "OCELLI_LOG";

/// Standard error for the log. Where nobody takes it any more (a full disk, a
/// pipe whose reader is gone) a line is lost, and nothing else: an error here
/// would be told on standard error, and panic.
struct Unfailing<W>(W);

impl<W: Write> Write for Unfailing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// How this process writes, once that is known.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Says something to the person who started the hub, whatever is logged: in a log of
/// objects it is one too.
pub fn say(words: &str) {
    let line = match FORMAT.get() {
        Some(LogFormat::Json) => {
            let mut now = String::new();
            // Writing to a string cannot fail.
            let _ = SystemTime.format_time(&mut Writer::new(&mut now));
            let words = printable(words.trim_end());
            format!(
                "{}\n",
                json!({ "timestamp": now, "level": "INFO", "message": words })
            )
        }
        _ => words.to_owned(),
    };
    // The cameras matter more than words that nobody takes.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Begins the log; once in a process.
pub fn begin(log: &Log) {
    let _ = FORMAT.set(log.format);
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(&log.level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(|| Unfailing(io::stderr()))
        .log_internal_errors(false)
        .with_ansi(log.format == LogFormat::Text && io::stderr().is_terminal())
        .fmt_fields(Fields);
    match log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.event_format(Objects).init(),
    }
}

/// Writes the fields of an event as text. Every field of every event passes through here
/// or through [`Objects`], so this is where control characters and secrets are stopped,
/// whoever wrote the event.
struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line {
            writer,
            begun: false,
            done: Ok(()),
        };
        fields.record(&mut line);
        line.done
    }
}

/// The fields of one event, on their way into a line of text.
struct Line<'writer> {
    writer: Writer<'writer>,
    begun: bool,
    done: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, name: &str, value: &str) -> fmt::Result {
        if std::mem::replace(&mut self.begun, true) {
            self.writer.write_char(' ')?;
        }
        match (name, self.writer.has_ansi_escapes()) {
            (MESSAGE, _) => self.writer.write_str(value),
            (name, false) => write!(self.writer, "{name}={value}"),
            (name, true) => write!(self.writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}"),
        }
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(name) = name(field)
            && self.done.is_ok()
        {
            self.done = self.write(name, &shown(&format!("{value:?}")));
        }
    }
}

/// Writes an event as one JSON object: `timestamp`, `level`, then its fields.
struct Objects;

impl<S, N> FormatEvent<S, N> for Objects
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut object = Object::default();
        SystemTime.format_time(&mut Writer::new(&mut object.0))?;
        let now = std::mem::take(&mut object.0);
        object.put("timestamp", &json!(now));
        object.put("level", &json!(event.metadata().level().as_str()));
        event.record(&mut object);
        writeln!(writer, "{{{}}}", object.0)
    }
}

/// The fields of one event, on their way into an object.
#[derive(Default)]
struct Object(String);

impl Object {
    fn put(&mut self, name: &str, value: &Value) {
        let comma = if self.0.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{comma}{}:{value}", json!(name));
    }

    fn put_field(&mut self, field: &Field, value: &Value) {
        if let Some(name) = name(field) {
            self.put(name, value);
        }
    }
}

impl Visit for Object {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_field(field, &json!(shown(&format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_field(field, &json!(shown(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_field(field, &json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_field(field, &json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put_field(field, &json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put_field(field, &json!(value));
    }
}

/// The field that holds an event's message.
const MESSAGE: &str = "message";

/// What a field is called; none for those by which records of the crate `log` say where
/// they are from.
fn name(field: &Field) -> Option<&'static str> {
    let name = field.name();
    (!name.starts_with("log.")).then(|| name.strip_prefix("r#").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex, PoisonError};
    use tracing_subscriber::fmt::MakeWriter;

    /// What a log has written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            written.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Written {
        fn lines(&self) -> Vec<String> {
            let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let text = String::from_utf8(written.clone()).expect("text");
            text.lines().map(str::to_owned).collect()
        }
    }

    /// An event of which a stranger had the words.
    fn tell() {
        let key = format!("wsk_{}", "0123456789abcdef".repeat(4));
        let reason = format!("room live-{key}\n2026-11-29 INFO forged \x1b[2J\u{202e}");
        let error = io::Error::other(reason.clone());
        tracing::warn!(%reason, word = reason, ?error, count = 3, good = true, "no {reason}");
    }

    #[test]
    fn a_line_is_one_line_without_secrets_and_control_characters() {
        let written = Written::default();
        let log = tracing_subscriber::fmt()
            .with_target(false)
            .with_ansi(false);
        let log = log.with_writer(written.clone()).fmt_fields(Fields).finish();
        tracing::subscriber::with_default(log, tell);
        let lines = written.lines();
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        let said = "room live-*** 2026-11-29 INFO forged \\u{1b}[2J\\u{202e}";
        assert!(
            line.contains(&format!(
                "WARN no {said} reason={said} word=\"room live-***"
            )),
            "{line}"
        );
        assert!(
            line.ends_with("count=3 good=true") && !line.contains("0123456789"),
            "{line}"
        );
        assert!(!line.contains(ocelli_core::text::is_control), "{line:?}");
    }

    #[test]
    fn nor_are_they_in_an_object() {
        let written = Written::default();
        let log = tracing_subscriber::fmt().with_writer(written.clone());
        let log = log.fmt_fields(Fields).event_format(Objects).finish();
        tracing::subscriber::with_default(log, tell);
        let lines = written.lines();
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        let object: Value = serde_json::from_str(line).expect("JSON");
        let said = "room live-*** 2026-11-29 INFO forged \\u{1b}[2J\\u{202e}";
        assert_eq!(object["reason"], said);
        assert_eq!(object["word"], said);
        assert_eq!(object["message"], format!("no {said}"));
        assert_eq!(
            (&object["count"], &object["good"]),
            (&json!(3), &json!(true))
        );
        assert_eq!(object["level"], "WARN");
        assert!(!line.contains("0123456789"), "{line}");
    }
}
