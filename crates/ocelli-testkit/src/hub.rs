//! The `ocelli` program as a child process.

use crate::lines::Lines;
use crate::proc::{self, Child as Process};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20);
const ANNOUNCEMENT: &str = "listening on ";

/// A builder for a hub process.
pub struct HubBuilder {
    command: Command,
    /// Removed with the hub, so that tests leave no files in the user's own directory.
    home: Home,
}

/// A temporary home directory, for data that a hub stores if no directory is configured.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ocelli-home-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl HubBuilder {
    /// Creates a builder for exactly this binary, with no arguments.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let mut command = Command::new(binary.into());
        let home = Home::new();
        command
            .env("XDG_DATA_HOME", &home.0)
            .env_remove("OCELLI_ADMIN_TOKEN")
            .env_remove("OCELLI_ADMIN_TOKEN_FILE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command, home }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.command.arg(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable in the hub's environment.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Sets the hub's working directory.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.command.current_dir(directory.into());
        self
    }

    /// Starts the hub and waits until it listens.
    ///
    /// # Panics
    /// Panics with the hub's standard error if it does not listen.
    pub fn start(self) -> Hub {
        match self.try_start() {
            Ok(hub) => hub,
            Err((status, stderr)) => {
                panic!("the hub did not start ({status:?}):\n{}", stderr.join("\n"))
            }
        }
    }

    /// Starts the hub. If it exits or stays silent instead of listening, returns its exit
    /// status and its standard error.
    #[allow(clippy::missing_panics_doc)]
    pub fn try_start(mut self) -> Result<Hub, (Option<ExitStatus>, Vec<String>)> {
        let mut process = self
            .command
            .spawn()
            .expect("the ocelli binary can be started");
        let stdout = Lines::read(process.stdout.take().expect("standard output is a pipe"));
        let stderr = Lines::read(process.stderr.take().expect("standard error is a pipe"));
        let announced = stdout.wait(0, TIMEOUT, |line| line.starts_with(ANNOUNCEMENT));
        let announced = announced.as_deref().and_then(|line| {
            let (scheme, address) = line.strip_prefix(ANNOUNCEMENT)?.split_once("://")?;
            let address = address.trim_end_matches('/').parse().ok()?;
            Some((scheme == "https", address))
        });
        let mut hub = Hub {
            process,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            secure: false,
            stdout,
            stderr,
            _home: self.home,
        };
        match announced {
            Some((secure, address)) => {
                (hub.secure, hub.address) = (secure, address);
                Ok(hub)
            }
            None => {
                let status = hub.wait(Duration::from_secs(2));
                let log = hub.stderr();
                Err((status, log))
            }
        }
    }
}

/// A running hub. Dropping it stops it, and kills it if it does not exit in time.
pub struct Hub {
    process: Child,
    address: SocketAddr,
    secure: bool,
    stdout: Lines,
    stderr: Lines,
    _home: Home,
}

impl Hub {
    /// Creates a builder for this binary, with no arguments. `OCELLI_BIN` in the environment
    /// takes precedence over `binary`, which in the program's own tests is
    /// `env!("CARGO_BIN_EXE_ocelli")`.
    pub fn builder(binary: impl Into<PathBuf>) -> HubBuilder {
        let binary = std::env::var_os("OCELLI_BIN").map_or_else(|| binary.into(), PathBuf::from);
        HubBuilder::new(binary)
    }

    /// Starts a hub on a free port of 127.0.0.1 that serves these sources.
    pub fn serve<A: Into<OsString>>(
        binary: impl Into<PathBuf>,
        sources: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::builder(binary)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(sources)
            .start()
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns `http://ADDR:PORT` (or https) and the path.
    pub fn url(&self, path: &str) -> String {
        format!("http{}", self.address_and(path))
    }

    /// Returns `ws://ADDR:PORT` (or wss) and the path.
    pub fn ws_url(&self, path: &str) -> String {
        format!("ws{}", self.address_and(path))
    }

    fn address_and(&self, path: &str) -> String {
        let s = if self.secure { "s" } else { "" };
        format!("{s}://{}/{}", self.address, path.trim_start_matches('/'))
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns its standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// Returns its standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Waits for the first line on standard error that contains `part`.
    pub fn wait_stderr(&self, part: &str, limit: Duration) -> Option<String> {
        self.stderr.wait(0, limit, |line| line.contains(part))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.process.id() as i32) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its exit. Returns `None` if it has not exited within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                _ => return None,
            }
        }
    }

    /// Stops it with SIGTERM. Returns its exit status and how long that took, or `None` if it has
    /// not exited within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Option<(ExitStatus, Duration)> {
        let started = Instant::now();
        self.signal(Signal::TERM);
        self.wait(limit).map(|status| (status, started.elapsed()))
    }

    /// Returns its running child processes and their descendants.
    pub fn children(&self) -> Vec<Process> {
        proc::children_of(self.pid())
    }

    /// The number of its open descriptors.
    pub fn descriptors(&self) -> usize {
        proc::descriptors_of(self.pid())
    }

    /// The number of its threads.
    pub fn threads(&self) -> usize {
        proc::threads_of(self.pid())
    }

    /// The CPU time of its threads.
    pub fn cpu_time(&self) -> Duration {
        proc::cpu_time(self.pid())
    }

    /// Its memory, as proportional set size.
    pub fn resident_bytes(&self) -> u64 {
        proc::resident_bytes(self.pid())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // The id cannot be reused before the process has been reaped.
        if matches!(self.process.try_wait(), Ok(None)) {
            // A normal exit also ends its children; SIGKILL would not.
            let _ = self.terminate(Duration::from_secs(3));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
