//! A child process's output, line by line, as it arrives.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The lines that a pipe has delivered so far.
#[derive(Clone, Default)]
pub struct Lines {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Reads `pipe` to its end in a separate thread.
    pub fn read(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let own = lines.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            // Bytes that are not UTF-8 must not end the loop.
            while matches!(reader.read_until(b'\n', &mut line), Ok(count) if count > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                own.state().lines.push(text);
                own.shared.1.notify_all();
                line.clear();
            }
            own.state().ended = true;
            own.shared.1.notify_all();
        });
        lines
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns all lines.
    pub fn all(&self) -> Vec<String> {
        self.state().lines.clone()
    }

    /// The number of lines.
    pub fn count(&self) -> usize {
        self.state().lines.len()
    }

    /// Waits for the first line from index `from` on that `wanted` accepts. Returns `None` when
    /// the time is up or the pipe has ended.
    pub fn wait(
        &self,
        from: usize,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let until = Instant::now() + limit;
        let mut state = self.state();
        loop {
            if let Some(line) = state.lines.iter().skip(from).find(|line| wanted(line)) {
                return Some(line.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self
                .shared
                .1
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
