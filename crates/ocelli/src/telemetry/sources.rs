//! Sources of samples: over TCP, and as lines of a request's body.
//!
//! A source's memory is only its partial last line: all sources read into the same buffer,
//! which is possible because they share one thread.

use super::shared::{Shared, now};
use ocelli_core::{Budget, text};
use ocelli_series::line::{self, Lines, TooLong};
use ocelli_series::source::shown;
use ocelli_series::{Registry, RegistryError, Sample};
use rustix::process::{Resource, getrlimit};
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The most connected sources, if the limit on descriptors allows more.
const MAX_CONNECTED: usize = 20_000;
/// A source must send its name within this time.
const NAME_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a refused source may take to read the reason.
const TEARDOWN_GRACE: Duration = Duration::from_secs(2);
/// The size of the read buffer.
const BUFFER: usize = 64 * 1024;
/// A source that is silent for this long is probed with TCP keep-alive.
const KEEPALIVE: Duration = Duration::from_secs(60);

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        bytes: vec![0; BUFFER],
        samples: Vec::new(),
    });
}

/// Buffers that all sources use in turn.
struct Scratch {
    bytes: Vec<u8>,
    samples: Vec<Sample>,
}

/// The maximum number of connected sources: half of the descriptors, because viewers and
/// cameras need some too.
pub fn max_connected() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current;
    let half = descriptors.map(|most| usize::try_from(most / 2).unwrap_or(MAX_CONNECTED));
    half.unwrap_or(MAX_CONNECTED).min(MAX_CONNECTED)
}

/// Reads a connection's lines within its budget, in a separate task.
pub fn accept(
    stream: TcpStream,
    budget: Budget,
    shared: &Arc<Shared>,
    stopping: &CancellationToken,
) {
    let (shared, stopping) = (shared.clone(), stopping.clone());
    tokio::spawn(async move {
        let connected = shared.connected.fetch_add(1, Ordering::Relaxed);
        tokio::select! {
            () = serve(stream, budget, &shared, connected) => {}
            () = stopping.cancelled() => {}
        }
        shared.connected.fetch_sub(1, Ordering::Relaxed);
    });
}

async fn serve(stream: TcpStream, mut budget: Budget, shared: &Shared, connected: usize) {
    let Ok(peer) = stream.peer_addr() else { return };
    if connected >= shared.max_connected {
        let reason = format!("there are already {connected} sources");
        return refuse(stream, &reason).await;
    }
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
    // If this fails, a source whose connection is lost stays listed, which does no other harm.
    let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    let mut source = Writer::new(peer.to_string(), true);
    let ended = read(&stream, &mut source, &mut budget, shared).await;
    let ended = match ended {
        Ok(()) => source.finish(&mut shared.registry()),
        other => other,
    };
    // The sender has sent everything, so an answer can't cost it a line.
    let ended = ended.and_then(|()| match source.nothing_valid(&mut shared.registry()) {
        Some(reason) => Err(End::Refused(reason)),
        None => Ok(()),
    });
    let reason = match &ended {
        Ok(()) => "it closed the connection",
        Err(End::Broken(error)) => &format!("the connection broke: {error}"),
        Err(End::Refused(reason)) => reason,
    };
    source.end(&mut shared.registry(), reason);
    shared.wake_viewers();
    if let Err(End::Refused(reason)) = ended {
        tracing::warn!(%peer, %reason, "source of samples refused");
        refuse(stream, &reason).await;
    }
}

/// Why a source ends early.
enum End {
    Broken(io::Error),
    Refused(String),
}

async fn read(
    stream: &TcpStream,
    source: &mut Writer,
    budget: &mut Budget,
    shared: &Shared,
) -> Result<(), End> {
    loop {
        if source.is_named() {
            stream.readable().await.map_err(End::Broken)?;
        } else {
            let readable = tokio::time::timeout(NAME_TIMEOUT, stream.readable()).await;
            let Ok(readable) = readable else {
                let reason = "no name within a minute; send the series' name as the first line";
                return Err(End::Refused(reason.to_owned()));
            };
            readable.map_err(End::Broken)?;
        }
        let ended = SCRATCH.with_borrow_mut(|scratch| match stream.try_read(&mut scratch.bytes) {
            Ok(0) => Some(Ok(())),
            Ok(length) => {
                budget.charge_bytes(length);
                let (bytes, samples) = (&scratch.bytes[..length], &mut scratch.samples);
                let taken = source.process(bytes, samples, &shared.registry);
                shared.wake_viewers();
                taken.err().map(Err)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(End::Broken(error))),
        });
        if let Some(ended) = ended {
            return ended;
        }
        let ready = budget.ready().await;
        ready.map_err(|exceeded| End::Refused(exceeded.to_string()))?;
    }
}

/// Sends the reason as one line, and waits briefly until it is read: if received bytes are
/// left unread, the kernel resets the connection and the reason is lost.
async fn refuse(mut stream: TcpStream, reason: &str) {
    let sent = async {
        stream
            .write_all(format!("ocelli: {reason}\n").as_bytes())
            .await?;
        stream.shutdown().await?;
        let mut discarded = [0; 4096];
        while stream.read(&mut discarded).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(TEARDOWN_GRACE, sent).await;
}

/// A source of lines, the first of which is a series' name.
pub struct Writer {
    from: String,
    tcp: bool,
    lines: Lines,
    name: Option<String>,
    /// The series, and the source's number in the registry.
    ids: Option<(u32, u64)>,
}

/// The result of parsing some lines.
#[derive(Default)]
struct ParsedLines {
    malformed: u64,
    last_malformed: Option<String>,
    fault: Option<String>,
}

impl Writer {
    /// A source at `from`, over the TCP port or not.
    pub fn new(from: String, tcp: bool) -> Self {
        Self {
            from,
            tcp,
            lines: Lines::default(),
            name: None,
            ids: None,
        }
    }

    fn is_named(&self) -> bool {
        self.name.is_some()
    }

    fn process(
        &mut self,
        bytes: &[u8],
        samples: &mut Vec<Sample>,
        registry: &std::sync::Mutex<Registry>,
    ) -> Result<(), End> {
        samples.clear();
        let mut parsed = ParsedLines::default();
        let name = &mut self.name;
        let fed = self
            .lines
            .feed(bytes, |line| read_line(line, name, samples, &mut parsed));
        // The registry is locked only after the lines are parsed.
        let mut registry = registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.store(&mut registry, samples, parsed)?;
        fed.map_err(|TooLong| {
            let message = format!("a line may have at most {} bytes", line::LINE_LIMIT);
            End::Refused(message)
        })
    }

    /// Processes the last line, which counts even without a newline.
    fn finish(&mut self, registry: &mut Registry) -> Result<(), End> {
        let Some(last) = self.lines.last() else {
            return Ok(());
        };
        let (mut samples, mut parsed) = (Vec::new(), ParsedLines::default());
        read_line(&last, &mut self.name, &mut samples, &mut parsed);
        self.store(registry, &samples, parsed)
    }

    fn store(
        &mut self,
        registry: &mut Registry,
        samples: &[Sample],
        parsed: ParsedLines,
    ) -> Result<(), End> {
        let refused = |refused: RegistryError| End::Refused(refused.to_string());
        if let Some(fault) = parsed.fault {
            return Err(End::Refused(fault));
        }
        let Some(name) = &self.name else {
            return Ok(());
        };
        let ids = self.ids.filter(|(series, _)| registry.get(*series).is_ok());
        let (series, source) = match ids {
            Some(ids) => ids,
            // A series that was deleted is created again.
            None => {
                let now = now();
                let series = registry.open(name, self.tcp).map_err(refused)?;
                if let Some((_, old)) = self.ids {
                    registry.sources.end(old, now, "its series was deleted");
                }
                let name = name.as_str().into();
                let source = registry.sources.begin(series, name, self.from.clone(), now);
                *self.ids.insert((series, source))
            }
        };
        registry.append(series, samples, now()).map_err(refused)?;
        if let Some(source) = registry.sources.get(source) {
            source.samples += samples.len() as u64;
            source.malformed += parsed.malformed;
            if parsed.last_malformed.is_some() {
                source.last_malformed.clone_from(&parsed.last_malformed);
            }
        }
        if let Some(last) = parsed.last_malformed {
            registry.malformed(series, parsed.malformed, last);
        }
        Ok(())
    }

    /// Returns what is wrong if the source has sent lines, but not one sample.
    fn nothing_valid(&self, registry: &mut Registry) -> Option<String> {
        let (_, source) = self.ids?;
        let source = registry.sources.get(source)?;
        let last = source.last_malformed.as_ref()?;
        (source.samples == 0).then(|| {
            format!(
                "none of the {} lines after the name is a sample; the last one is {last:?}. \
                 A line should be two numbers, like \"1700000000000 21.5\"",
                source.malformed
            )
        })
    }

    fn end(&mut self, registry: &mut Registry, reason: &str) {
        if let Some((series, source)) = self.ids.take() {
            registry.sources.end(source, now(), reason);
            // A name without any sample was a mistake or a test.
            let empty = registry
                .get(series)
                .is_ok_and(|series| series.history().end() == 0);
            if empty && registry.sources.of(series) == 0 {
                let _ = registry.delete(series);
            }
        }
    }

    /// Takes a whole text. Returns the series, its number of samples, and the number and the
    /// last of the malformed lines.
    ///
    /// # Errors
    /// The message states what is wrong with the first line, or that a line is too long.
    pub fn process_all(
        mut self,
        text: &[u8],
        registry: &mut Registry,
    ) -> Result<(u32, u64, u64, Option<String>), String> {
        let (mut samples, mut parsed) = (Vec::new(), ParsedLines::default());
        let name = &mut self.name;
        let fed = self.lines.feed(text, |line| {
            read_line(line, name, &mut samples, &mut parsed)
        });
        fed.map_err(|TooLong| format!("a line may have at most {} bytes", line::LINE_LIMIT))?;
        if let Some(last) = self.lines.last() {
            read_line(&last, &mut self.name, &mut samples, &mut parsed);
        }
        if self.name.is_none() && parsed.fault.is_none() {
            return Err("the series' name is missing; send it as the first line".to_owned());
        }
        let (count, malformed) = (samples.len() as u64, parsed.malformed);
        let last = parsed.last_malformed.clone();
        let store = self.store(registry, &samples, parsed);
        let series = self.ids.map(|(series, _)| series);
        self.end(registry, "the request was complete");
        match (store, series) {
            (Ok(()), Some(series)) => Ok((series, count, malformed, last)),
            (Err(End::Refused(reason)), _) => Err(reason),
            (_, _) => Err("the samples were not stored".to_owned()),
        }
    }
}

fn read_line(
    line: &[u8],
    name: &mut Option<String>,
    samples: &mut Vec<Sample>,
    parsed: &mut ParsedLines,
) {
    if parsed.fault.is_some() {
        return;
    }
    if name.is_none() {
        // The name as it appears in lists, logs and plots: escapes make it longer.
        let printable = line::name(line).map(text::shown);
        match printable.and_then(|text| line::name(text.as_bytes()).map(str::to_owned)) {
            Ok(valid) => *name = Some(valid),
            Err(fault) => parsed.fault = Some(fault.to_owned()),
        }
        return;
    }
    match line::sample(line) {
        Some(sample) => samples.push(sample),
        // Empty lines are allowed.
        None if line.trim_ascii().is_empty() => {}
        None => {
            parsed.malformed += 1;
            parsed.last_malformed = Some(text::shown(&shown(line)));
        }
    }
}
