//! The log: lines on standard error, as text or as JSON objects.

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

/// The variable that takes precedence over the configuration's level; its syntax is that of
/// `tracing_subscriber::EnvFilter`.
const VARIABLE: &str = "OCELLI_LOG";

/// Log writer that never reports an error. If standard error can't be written (a full disk,
/// a closed pipe), the line is lost and nothing else happens: `tracing` would report a
/// write error on standard error, and panic.
struct InfallibleWriter<W>(W);

impl<W: Write> Write for InfallibleWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// The format that this process logs in, once it is set.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Writes a message to the user who started the hub, at every log level. In a JSON log the
/// message is a JSON object too.
pub fn print_message(message: &str) {
    let line = match FORMAT.get() {
        Some(LogFormat::Json) => {
            let mut now = String::new();
            // Writing to a string cannot fail.
            let _ = SystemTime.format_time(&mut Writer::new(&mut now));
            let message = printable(message.trim_end());
            format!(
                "{}\n",
                json!({ "timestamp": now, "level": "INFO", "message": message })
            )
        }
        _ => message.to_owned(),
    };
    // A message that can't be written must not stop the hub.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Starts the log. Call once per process.
pub fn init(log: &Log) {
    let _ = FORMAT.set(log.format);
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(&log.level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(|| InfallibleWriter(io::stderr()))
        .log_internal_errors(false)
        .with_ansi(log.format == LogFormat::Text && io::stderr().is_terminal())
        .fmt_fields(Fields);
    match log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.event_format(JsonFormat).init(),
    }
}

/// Formats the fields of an event as text. Every field of every event passes through this
/// type or through [`JsonFormat`], so control characters and secrets are removed here,
/// whatever code logged the event.
struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line {
            writer,
            started: false,
            done: Ok(()),
        };
        fields.record(&mut line);
        line.done
    }
}

/// Visitor that writes the fields of one event as text.
struct Line<'writer> {
    writer: Writer<'writer>,
    started: bool,
    done: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, name: &str, value: &str) -> fmt::Result {
        if std::mem::replace(&mut self.started, true) {
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

/// Formats an event as one JSON object: `timestamp`, `level`, then its fields.
struct JsonFormat;

impl<S, N> FormatEvent<S, N> for JsonFormat
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

/// Visitor that writes the fields of one event into a JSON object.
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

/// The name of a field; `None` for the fields in which records of the crate `log` carry their
/// origin.
fn name(field: &Field) -> Option<&'static str> {
    let name = field.name();
    (!name.starts_with("log.")).then(|| name.strip_prefix("r#").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex, PoisonError};
    use tracing_subscriber::fmt::MakeWriter;

    /// The output of a log.
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

    /// Logs an event whose text comes from an untrusted peer.
    fn log_untrusted_event() {
        let key = format!("wsk_{}", "0123456789abcdef".repeat(4));
        let reason = format!("room live-{key}\n2026-11-29 INFO forged \x1b[2J\u{202e}");
        let error = io::Error::other(reason.clone());
        tracing::warn!(%reason, word = reason, ?error, count = 3, good = true, "no {reason}");
    }

    #[test]
    fn a_text_line_has_no_secrets_and_no_control_characters() {
        let written = Written::default();
        let log = tracing_subscriber::fmt()
            .with_target(false)
            .with_ansi(false);
        let log = log.with_writer(written.clone()).fmt_fields(Fields).finish();
        tracing::subscriber::with_default(log, log_untrusted_event);
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
    fn a_json_object_has_no_secrets_and_no_control_characters() {
        let written = Written::default();
        let log = tracing_subscriber::fmt().with_writer(written.clone());
        let log = log.fmt_fields(Fields).event_format(JsonFormat).finish();
        tracing::subscriber::with_default(log, log_untrusted_event);
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
