//! `ocelli plot`: sends a program's output to a hub, as a series.
//!
//! It uses the same line protocol as any source. Unlike netcat, it can add the time to a
//! number and reconnect to a hub that was restarted.

use super::exit::Exit;
use clap::Args;
use ocelli_series::line;
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The default address of a hub's port for samples.
const HUB: &str = "127.0.0.1:9876";
/// Lines that are buffered while the hub can't be reached; beyond that the program has to
/// wait.
const MAX_BUFFERED_LINES: usize = 10_000;
/// The delay between reconnection attempts.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The longest delay before written lines are sent.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for the hub's error message.
const TEARDOWN_GRACE: Duration = Duration::from_secs(2);

/// Reads standard input: lines with one number, which get the current time, or with two
/// numbers, x and y.
#[derive(Args)]
pub struct Plot {
    /// The series' name.
    #[arg(required_unless_present = "demo")]
    name: Option<String>,
    /// The hub's port for samples.
    #[arg(long, value_name = "ADDR:PORT", default_value = HUB)]
    hub: String,
    /// Send generated series instead, until interrupted.
    #[arg(long)]
    demo: bool,
}

impl Plot {
    /// Runs the command.
    pub fn run(self) -> Result<(), Exit> {
        if self.demo {
            return demo(&self.hub);
        }
        let name = self.name.unwrap_or_default();
        line::name(name.as_bytes()).map_err(|fault| Exit::usage(format!("{name:?}: {fault}")))?;
        if name.contains(['\n', '\r']) {
            return Err(Exit::usage("a series' name must be one line"));
        }
        // A missing hub is reported at once, not after an hour of input.
        let connection = Connection::open(&self.hub, &name).map_err(|error| {
            let hub = &self.hub;
            Exit::failure(format!(
                "can't connect to a hub at {hub}: {error}. Is the hub running, and is `tcp` in its \
                 [telemetry] this address?"
            ))
        })?;
        let (lines, sent) = sync_channel(MAX_BUFFERED_LINES);
        let reader =
            thread::spawn(move || read(io::stdin().lock(), |line| lines.send(line).is_ok()));
        let result = send_lines(&self.hub, &name, connection, &sent);
        // If the hub refuses the series, the rest of the input is not read.
        result?;
        let skipped = reader.join().unwrap_or_default();
        match skipped {
            0 => Ok(()),
            count => Err(Exit::failure(format!(
                "{count} lines were skipped because they were not one or two numbers"
            ))),
        }
    }
}

fn now() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_millis())
}

/// Converts a line to the hub's format; `None` if it is not a sample.
fn to_sample(text: &[u8], now: u128) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    if line::sample(text).is_some() {
        return Some([text, b"\n"].concat());
    }
    let with_time = [format!("{now} ").as_bytes(), text, b"\n"].concat();
    line::sample(&with_time).map(|_| with_time)
}

/// Passes each sample to `send` until the input ends or `send` returns false. Returns how
/// many lines were not samples.
fn read(mut input: impl BufRead, send: impl Fn(Vec<u8>) -> bool) -> u64 {
    let (mut text, mut skipped) = (Vec::new(), 0);
    loop {
        text.clear();
        let read = (&mut input)
            .take(line::LINE_LIMIT as u64)
            .read_until(b'\n', &mut text);
        if read.unwrap_or(0) == 0 {
            return skipped;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        match to_sample(&text, now()) {
            Some(sample) => {
                if !send(sample) {
                    return skipped;
                }
            }
            None => {
                skipped += 1;
                if skipped == 1 {
                    let shown = ocelli_series::source::shown(text.trim_ascii_end());
                    let _ = writeln!(
                        io::stderr(),
                        "ocelli: skipped a line that is not one or two numbers: {shown}"
                    );
                }
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    written: BufWriter<TcpStream>,
    flushed: Instant,
}

impl Connection {
    fn open(hub: &str, name: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(hub)?;
        let mut written = BufWriter::new(stream.try_clone()?);
        written.write_all(format!("{name}\n").as_bytes())?;
        written.flush()?;
        Ok(Self {
            stream,
            written,
            flushed: Instant::now(),
        })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.written.write_all(line)?;
        if self.flushed.elapsed() >= FLUSH_INTERVAL {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        self.written.flush()
    }

    /// The hub's message, which is only sent when it refuses. Waits for the end of the
    /// connection, within a time limit.
    fn refusal(&self) -> Option<String> {
        self.stream.set_read_timeout(Some(TEARDOWN_GRACE)).ok()?;
        let mut message = String::new();
        let _ = (&self.stream).take(1000).read_to_string(&mut message);
        let message = message.trim().trim_start_matches("ocelli: ").to_owned();
        (!message.is_empty()).then_some(message)
    }
}

/// Sends lines to the hub until the input ends, and reconnects when the connection is lost.
fn send_lines(
    hub: &str,
    name: &str,
    mut connection: Connection,
    lines: &Receiver<Vec<u8>>,
) -> Result<(), Exit> {
    use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
    let refused = |message| Exit::failure(format!("the hub closed the connection: {message}"));
    loop {
        let (line, written) = match lines.recv_timeout(FLUSH_INTERVAL) {
            Ok(line) => {
                let written = connection.write(&line);
                (line, written)
            }
            Err(Timeout) => (Vec::new(), connection.flush()),
            Err(Disconnected) => break,
        };
        if written.is_ok() {
            continue;
        }
        if let Some(message) = connection.refusal() {
            return Err(refused(message));
        }
        let _ = writeln!(
            io::stderr(),
            "ocelli: the connection to the hub is lost; reconnecting"
        );
        connection = loop {
            thread::sleep(RETRY_DELAY);
            let Ok(mut again) = Connection::open(hub, name) else {
                continue;
            };
            if again.write(&line).is_ok() {
                break again;
            }
        };
    }
    let ended = connection.flush();
    let _ = connection.stream.shutdown(Shutdown::Write);
    match (connection.refusal(), ended) {
        (Some(message), _) => Err(refused(message)),
        (None, Err(error)) => Err(Exit::failure(format!(
            "the connection to the hub is lost: {error}"
        ))),
        (None, Ok(())) => Ok(()),
    }
}

/// Sends three generated series, ten times a second.
fn demo(hub: &str) -> Result<(), Exit> {
    const NAMES: [&str; 3] = ["demo temperature", "demo vibration", "demo steps"];
    let open = |name| {
        Connection::open(hub, name)
            .map_err(|error| Exit::failure(format!("can't connect to a hub at {hub}: {error}")))
    };
    let mut connections = Vec::new();
    for name in NAMES {
        connections.push(open(name)?);
    }
    let _ = writeln!(
        io::stderr(),
        "Sending {} to {hub}; see them on the hub's page /plot. Press Ctrl+C to stop.",
        NAMES.join(", ")
    );
    let started = Instant::now();
    loop {
        let t = started.elapsed().as_secs_f64();
        let values = [
            21.0 + 2.0 * (t / 30.0).sin() + 0.1 * (t * 1.7).sin(),
            (t * 9.0).sin() * (1.0 + (t / 5.0).sin()),
            (t / 4.0).floor() % 5.0,
        ];
        for (connection, value) in connections.iter_mut().zip(values) {
            let line = format!("{} {value:.3}\n", now());
            let written = connection
                .write(line.as_bytes())
                .and_then(|()| connection.flush());
            written.map_err(|error| {
                Exit::failure(format!("the connection to the hub is lost: {error}"))
            })?;
        }
        thread::sleep(Duration::from_millis(100));
    }
}
