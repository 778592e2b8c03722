//! Measures the response time of `/health` over one kept-alive connection.

use crate::Result;
use crate::background::{Background, Shared};
use crate::feed::read_head;
use crate::link::Link;
use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

/// The pause between a response and the next request.
const EACH: Duration = Duration::from_millis(15);
/// After this time a request counts as failed.
const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Default)]
struct State {
    took: Vec<Duration>,
    /// When the pending request was sent.
    requested: Option<Instant>,
}

/// Response times.
#[derive(Clone, Copy)]
pub struct Answers {
    /// The median.
    pub half: Duration,
    /// The 99th percentile.
    pub most: Duration,
}

/// Sends requests until it is dropped.
pub struct Health(Background<State>);

impl Health {
    /// Starts the measurement; `open` makes the connections.
    pub fn start(open: impl Fn() -> io::Result<Link> + Send + 'static) -> Self {
        // A failed request counts with the time until it failed.
        let ask = move |shared: &Shared<State>| ask(&open, shared);
        Self(Background::start(ask, State::answered, EACH))
    }

    /// Returns the times since the last call, including how long the pending request has waited
    /// so far.
    pub fn take(&self) -> Answers {
        let mut state = self.0.lock();
        let mut took = std::mem::take(&mut state.took);
        took.extend(state.requested.map(|requested| requested.elapsed()));
        took.sort_unstable();
        let at = |percent: usize| {
            let at = (took.len() * percent).div_ceil(100).saturating_sub(1);
            took.get(at).copied().unwrap_or(TIMEOUT)
        };
        Answers {
            half: at(50),
            most: at(99),
        }
    }
}

impl State {
    fn answered(&mut self) {
        let took = self.requested.take().map(|requested| requested.elapsed());
        self.took.extend(took);
    }
}

fn ask(open: &impl Fn() -> io::Result<Link>, shared: &Shared<State>) -> Result<()> {
    shared.lock().requested = Some(Instant::now());
    let mut link = open()?;
    link.set_timeout(TIMEOUT);
    let address = link.stream().peer_addr()?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n");
    while shared.is_running() {
        shared.lock().requested.get_or_insert_with(Instant::now);
        link.write_all(request.as_bytes())?;
        link.flush()?;
        let head = read_head(&mut link)?;
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(head.into());
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim())
        });
        let length: usize = length.ok_or("no Content-Length")?.parse()?;
        link.read_exact(&mut vec![0; length])?;
        shared.lock().answered();
        thread::sleep(EACH);
        if head.to_ascii_lowercase().contains("connection: close") {
            return Ok(());
        }
    }
    Ok(())
}
