//! The latency of samples from their source to viewers that pull, each of which requests the next
//! batch as soon as it has read one. Also checks that each viewer gets every sample exactly once.

use crate::tally::Spread;
use crate::telemetry::Hub;
use ocelli_testkit::feed::read_head;
use ocelli_testkit::{Result, wire};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Number of viewers; each watches all series.
pub const VIEWERS: usize = 20;
/// Number of series, each with a separate source.
pub const SERIES: usize = 20;
/// Interval at which each source writes a sample.
pub const PACE: Duration = Duration::from_millis(10);
/// Timeout for one message.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The results.
#[derive(Clone, Copy, Debug)]
pub struct Batches {
    /// Latency from a source's write until a viewer has read the sample.
    pub latency: Spread,
    /// Mean number of samples per batch.
    pub samples: f64,
    /// The hub's CPU, as a share of one core.
    pub cpu: f64,
}

/// Measures for the time `counted`.
pub fn measure(binary: &Path, counted: Duration) -> Result<Batches> {
    let hub = Hub::start(binary)?;
    let each = (counted.as_secs_f64() / PACE.as_secs_f64()) as usize;
    let started = Instant::now();
    let ready = Arc::new(Barrier::new(VIEWERS + 1));
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS {
        let (address, ready) = (hub.main(), ready.clone());
        viewers.push(thread::spawn(move || {
            let opened = Viewer::open(address);
            // Also after a failed connection, so that the others do not wait forever.
            ready.wait();
            opened?
                .pull(started, SERIES * each)
                .map_err(|error| error.to_string())
        }));
    }
    ready.wait();
    let (cpu, before) = (hub.cpu_time(), Instant::now());
    let mut sources = Vec::new();
    for source in 0..SERIES {
        let mut stream = TcpStream::connect(hub.samples())?;
        stream.set_nodelay(true)?;
        stream.write_all(format!("bench {source}\n").as_bytes())?;
        sources.push(stream);
    }
    for sequence in 0..each {
        let due = before + PACE * sequence as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        for stream in &mut sources {
            // x is the time of writing, from which the viewer computes the latency.
            let line = format!("{} {sequence}\n", started.elapsed().as_micros());
            stream.write_all(line.as_bytes())?;
        }
    }
    let (mut latencies, mut batches) = (Vec::new(), 0);
    for viewer in viewers {
        let (mine, count) = viewer.join().map_err(|_| "a viewer panicked")??;
        latencies.extend(mine);
        batches += count;
    }
    let (cpu, wall) = (hub.cpu_time().saturating_sub(cpu), before.elapsed());
    Ok(Batches {
        samples: latencies.len() as f64 / f64::from(batches.max(1)),
        latency: Spread::of(&mut latencies).ok_or("no batch arrived")?,
        cpu: cpu.as_secs_f64() / wall.as_secs_f64(),
    })
}

struct Viewer(TcpStream);

impl Viewer {
    fn open(address: SocketAddr) -> std::result::Result<Self, String> {
        let opened = || -> Result<Self> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.write_all(wire::request(address, "/ws/series", "").as_bytes())?;
            if !read_head(&mut stream)?.starts_with("HTTP/1.1 101") {
                return Err("the hub did not open a socket for series".into());
            }
            let mut viewer = Self(stream);
            // The history, which is still empty.
            viewer.message()?;
            Ok(viewer)
        };
        opened().map_err(|error| error.to_string())
    }

    /// Pulls until it has this many samples. Returns the age of each in µs, and the number of
    /// batches.
    fn pull(mut self, started: Instant, wanted: usize) -> Result<(Vec<u64>, u32)> {
        let (mut latencies, mut batches) = (Vec::with_capacity(wanted), 0);
        while latencies.len() < wanted {
            // An empty text message, masked as required from a client.
            self.0.write_all(&[0x81, 0x80, 0, 0, 0, 0])?;
            let text = self.message()?;
            let now = started.elapsed().as_micros() as u64;
            let before = latencies.len();
            for sample in text.split('[').skip(3) {
                let digits = sample.split(',').next().unwrap_or_default();
                if let Ok(written) = digits.parse::<u64>() {
                    latencies.push(now.saturating_sub(written));
                }
            }
            batches += u32::from(latencies.len() > before);
        }
        if latencies.len() > wanted {
            return Err("a viewer got a sample twice".into());
        }
        Ok((latencies, batches))
    }

    /// Returns the next text message; pings are skipped.
    fn message(&mut self) -> Result<String> {
        loop {
            let (header, payload) = wire::read(&mut self.0)?;
            match header.first {
                0x81 => return Ok(String::from_utf8(payload)?),
                0x89 => {}
                other => {
                    return Err(format!("the hub sent a frame that begins with {other:#x}").into());
                }
            }
        }
    }
}
