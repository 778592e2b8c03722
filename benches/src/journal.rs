//! A source of samples that records what it wrote and when, and later checks that the hub still has
//! it: no sample that was written at least a second before a fault may be lost.

use ocelli_testkit::Result;
use ocelli_testkit::socket::Socket;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Interval of writes.
const INTERVAL: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Default)]
struct State {
    /// The x values written since the last check, and their times.
    written: Vec<(u64, Instant)>,
    /// The number of the series. Each hub process gets a new series, so that none is thinned.
    series: u32,
}

/// The source. It ends when dropped.
pub struct Journal {
    state: Arc<Mutex<State>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Writes to the hub's port for samples, and reconnects when necessary.
    pub fn start(port: SocketAddr) -> Self {
        let (state, ending) = (Arc::<Mutex<State>>::default(), Arc::<AtomicBool>::default());
        let (into, end) = (state.clone(), ending.clone());
        let thread = thread::spawn(move || {
            let mut x = 0;
            while !end.load(Ordering::Relaxed) {
                // An error means that the hub is down; it will restart.
                let _ = write(port, &into, &end, &mut x);
                thread::sleep(INTERVAL);
            }
        });
        Self {
            state,
            ending,
            thread: Some(thread),
        }
    }

    /// Begins a new series. Returns the name of the previous one, and the samples that were written
    /// at least a second before `fault`.
    pub fn start_series(&self, fault: Instant) -> (String, BTreeSet<u64>) {
        let mut state = lock(&self.state);
        let old = name(state.series);
        state.series += 1;
        let written = std::mem::take(&mut state.written);
        let due = written
            .into_iter()
            .filter_map(|(x, at)| (at + Duration::from_secs(1) <= fault).then_some(x));
        (old, due.collect())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns how many of these samples the hub does not have.
pub fn missing(hub: SocketAddr, series: &str, written: &BTreeSet<u64>) -> Result<usize> {
    let path = format!("/ws/series?series={series}");
    let (_, message) = Socket::open(hub, &path, "", TIMEOUT)?.message()?;
    let text = String::from_utf8(message)?;
    let points = text.split("\"points\":[").nth(1).unwrap_or_default();
    let points = points.split("]]").next().unwrap_or_default();
    let x = points
        .split('[')
        .filter_map(|point| point.split(',').next());
    let held: BTreeSet<u64> = x
        .filter_map(|x| x.parse::<f64>().ok())
        .map(|x| x as u64)
        .collect();
    Ok(written.difference(&held).count())
}

fn name(series: u32) -> String {
    format!("soak-{series}")
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes until the connection breaks or the series changes.
fn write(port: SocketAddr, state: &Mutex<State>, end: &AtomicBool, x: &mut u64) -> Result<()> {
    let series = lock(state).series;
    let mut stream = TcpStream::connect_timeout(&port, TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(format!("{}\n", name(series)).as_bytes())?;
    while !end.load(Ordering::Relaxed) {
        *x += 1;
        // Recorded only after it is written, and only for this series.
        stream.write_all(format!("{x} {}\n", *x % 100).as_bytes())?;
        let mut state = lock(state);
        if state.series != series {
            break;
        }
        state.written.push((*x, Instant::now()));
        drop(state);
        thread::sleep(INTERVAL);
    }
    Ok(())
}
