//! A hub with well-behaved cameras and a viewer. Attacks run against it one after another; each
//! is judged by the viewer's frames, by `/health`, and by the hub's memory during and after it.

use super::attack::{Attack, Form, MEGABYTE, Transport};
use super::health::{Answers, Health};
use super::progress::{Counts, Progress};
use super::target::Target;
use crate::feed::{Cameras, Feed};
use crate::jpeg::Picture;
use crate::link::{Link, client_config};
use crate::watcher::Watcher;
use crate::{Hub, HubBuilder, Result, resident_bytes};
use rustix::process::Signal;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The well-behaved cameras.
const FEED: Feed = Feed {
    cameras: 6,
    fps: 10,
    picture: Picture::QVGA,
};
const TOKEN: &str = "sk_administrator-token-of-the-attack";
/// How long an attack runs before it is measured.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long the cameras may catch up before the undisturbed hub is measured.
const CATCH_UP_TIME: Duration = Duration::from_millis(500);
const SAMPLE: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(10);
/// The smallest share of the undisturbed frame rate that the viewer must get.
const MIN_FRAME_RATE_SHARE: f64 = 0.9;
/// The most memory that the hub may hold afterwards, as a multiple of what it held before.
const MAX_MEMORY_RATIO: f64 = 1.5;

impl Form {
    /// How long `/health` may take. On a busy machine a few responses are always late, but the
    /// median is late only if the hub is.
    fn deadline(self, undisturbed: Answers) -> Answers {
        let millis = Duration::from_millis;
        match self {
            Form::Short => Answers {
                half: millis(25).max(undisturbed.half * 3),
                most: millis(250).max(undisturbed.most * 3),
            },
            Form::Whole => Answers {
                half: millis(100),
                most: millis(100),
            },
        }
    }

    /// How long the hub may take to release memory.
    fn release_time(self) -> Duration {
        match self {
            Form::Short => Duration::from_secs(5),
            Form::Whole => Duration::from_secs(45),
        }
    }

    /// The number of attacks after which the undisturbed hub is measured again.
    fn baseline_interval(self) -> usize {
        match self {
            Form::Short => 5,
            Form::Whole => 3,
        }
    }

    fn seconds(self, attack: &Attack) -> Duration {
        let (short, whole) = attack.seconds;
        Duration::from_secs_f64(match self {
            Form::Short => short,
            Form::Whole => whole,
        })
    }
}

/// The result of one attack.
pub struct Outcome {
    name: String,
    transport: Transport,
    /// The viewer's frame rate as a share of the undisturbed one.
    share: f64,
    undisturbed: Service,
    health: Answers,
    /// The hub's memory before the attack, at its peak and after it.
    memory: [u64; 3],
    settled_in: Duration,
    /// The most child processes at a time, and the most memory of all of them.
    children: (usize, u64),
    counts: Counts,
    /// Duration of the attack.
    lasted: Duration,
    /// The limits that were exceeded.
    pub faults: Vec<String>,
}

impl Outcome {
    /// Returns the faults, each with the attack's name and transport.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        let over = self.transport.name();
        let all = self.faults.iter();
        all.map(move |fault| format!("{} ({over}): {fault}", self.name))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, peak, after] = self.memory.map(|bytes| bytes as f64 / MEGABYTE as f64);
        let (children, bytes) = self.children;
        write!(
            out,
            "{} {} ({})\n    others {:.0} % of {:.1}/s, /health {:.0}, p99 {:.0} ms \
             (undisturbed {:.0}, {:.0}), memory {before:.0} → \
             {peak:.0} → {after:.0} MB in {:.1} s, children {children} ({} MB), {} connections, {:.1} MB/s",
            if self.faults.is_empty() {
                "ok  "
            } else {
                "FAIL"
            },
            self.name,
            self.transport.name(),
            self.share * 100.0,
            self.undisturbed.rate,
            millis(self.health.half),
            millis(self.health.most),
            millis(self.undisturbed.health.half),
            millis(self.undisturbed.health.most),
            self.settled_in.as_secs_f64(),
            bytes / MEGABYTE,
            self.counts.connections,
            self.counts.bytes as f64 / MEGABYTE as f64 / self.lasted.as_secs_f64(),
        )?;
        let endings = &self.counts.endings;
        let ended: u64 = endings.iter().map(|(_, count)| count).sum();
        let mut most: Vec<_> = endings.iter().collect();
        most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        match most.is_empty() {
            true => write!(out, ", none ended")?,
            false => write!(out, ", {ended} times refused or ended:")?,
        }
        for (how, count) in most.into_iter().take(4) {
            write!(out, " {how} (×{count})")?;
        }
        self.faults
            .iter()
            .try_for_each(|fault| write!(out, "\n    FAULT: {fault}"))
    }
}

/// Service quality over one measurement.
#[derive(Clone, Copy)]
struct Service {
    /// Frames per second.
    rate: f64,
    health: Answers,
}

/// A hub under attack, with cameras and a viewer.
pub struct Stage {
    binary: PathBuf,
    directory: PathBuf,
    form: Form,
    transport: Transport,
    running: Running,
    undisturbed: Option<Service>,
    since: usize,
}

/// The fields are dropped in this order: the hub before its cameras.
struct Running {
    watcher: Watcher,
    health: Health,
    target: Target,
    hub: Hub,
    _feed: Cameras,
}

impl Stage {
    /// Starts a hub from this binary with its data in `directory`.
    ///
    /// # Errors
    /// Returns an error if the hub does not start or its cameras do not become live.
    pub fn start(
        binary: &Path,
        directory: &Path,
        transport: Transport,
        form: Form,
    ) -> Result<Self> {
        Ok(Self {
            running: Running::start(binary, directory, transport)?,
            binary: binary.to_owned(),
            directory: directory.to_owned(),
            form,
            transport,
            undisturbed: None,
            since: 0,
        })
    }

    /// Runs one attack. If only time limits were exceeded, the undisturbed hub and the attack
    /// are measured a second time, because a busy machine is sometimes slow.
    ///
    /// # Errors
    /// Returns an error if the preparation failed or the hub exited.
    pub fn run(&mut self, attack: &Attack) -> Result<Outcome> {
        if self.since >= self.form.baseline_interval() {
            self.undisturbed = None;
        }
        self.since += 1;
        let (mut outcome, slow) = self.attempt(attack)?;
        if slow && outcome.faults.len() == 1 {
            self.undisturbed = None;
            outcome = self.attempt(attack)?.0;
        }
        Ok(outcome)
    }

    /// Runs the attack once. Also returns whether time limits were exceeded.
    fn attempt(&mut self, attack: &Attack) -> Result<(Outcome, bool)> {
        let none = Progress::default();
        let run = &self.running;
        if let Some(prepare) = &attack.prepare {
            prepare(&run.target, &none)?;
            thread::sleep(WARM_UP);
        }
        let window = self.form.seconds(attack);
        let undisturbed = match self.undisturbed {
            Some(service) => service,
            None => {
                self.since = 1;
                thread::sleep(CATCH_UP_TIME);
                run.measure(window.min(Duration::from_secs(3)), || {})
            }
        };
        self.undisturbed = Some(undisturbed);
        let run = &mut self.running;
        let before = reset_peak(run.hub.pid());
        let progress = Progress::default();
        let mut children = (0, 0);
        let service = thread::scope(|scope| {
            let (target, progress, hub) = (&run.target, &progress, &run.hub);
            scope.spawn(move || {
                // Low priority, because real attackers run on other machines.
                let _ = rustix::process::nice(10);
                if let Err(error) = (attack.run)(target, progress) {
                    progress.fault(format!("the attack: {error}"));
                }
            });
            thread::sleep(WARM_UP);
            let service = run.measure(window, || {
                let all = hub.children();
                let bytes = all.iter().map(|child| resident_bytes(child.pid)).sum();
                children = (children.0.max(all.len()), children.1.max(bytes));
            });
            progress.end();
            service
        });
        let peak = peak_of(run.hub.pid()).max(before);
        let mut counts = progress.counts();
        let mut faults = std::mem::take(&mut counts.faults);
        let share = service.rate / undisturbed.rate;
        let deadline = self.form.deadline(undisturbed.health);
        let late = service.health.half > deadline.half || service.health.most > deadline.most;
        let slow = share < MIN_FRAME_RATE_SHARE || late;
        if slow {
            faults.push(format!(
                "the others got {:.0} % of their frames; /health took {:.0} ms of at most {:.0}, p99 \
                 {:.0} ms of {:.0}",
                share * 100.0,
                millis(service.health.half),
                millis(deadline.half),
                millis(service.health.most),
                millis(deadline.most)
            ));
        }
        faults.extend(exceeded(attack, peak - before, children));
        if attack.bounds.ends && self.form == Form::Whole && counts.endings.is_empty() {
            faults.push("the attacker was not disconnected".to_owned());
        }
        if let Some(status) = run.hub.wait(Duration::ZERO) {
            return Err(format!("{}: the hub ended: {status}", attack.name).into());
        }
        let started = Instant::now();
        let most = (before as f64 * MAX_MEMORY_RATIO) as u64;
        while resident(run.hub.pid()) > most && started.elapsed() < self.form.release_time() {
            thread::sleep(SAMPLE);
        }
        let settled_in = started.elapsed();
        let after = resident(run.hub.pid());
        if after > most && !attack.bounds.keeps {
            let [before, after] = [before, after].map(|bytes| bytes / MEGABYTE);
            faults.push(format!("{before} MB before, still {after} MB after"));
        }
        if let Err(error) = run.until_live() {
            faults.push(error.to_string());
            self.restart()?;
        }
        if slow {
            // Frames that the cameras sent meanwhile arrive all at once.
            thread::sleep(CATCH_UP_TIME);
        }
        let outcome = Outcome {
            name: attack.name.clone(),
            transport: self.transport,
            share,
            undisturbed,
            health: service.health,
            memory: [before, peak, after],
            settled_in,
            children,
            counts,
            lasted: window + WARM_UP,
            faults,
        };
        Ok((outcome, slow))
    }

    /// Replaces a hub that does not recover.
    fn restart(&mut self) -> Result<()> {
        if self.running.hub.terminate(TIMEOUT / 2).is_none() {
            self.running.hub.signal(Signal::KILL);
            self.running.hub.wait(TIMEOUT);
        }
        self.running = Running::start(&self.binary, &self.directory, self.transport)?;
        self.undisturbed = None;
        Ok(())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn exceeded(attack: &Attack, growth: u64, children: (usize, u64)) -> Vec<String> {
    let bounds = &attack.bounds;
    let mut faults = Vec::new();
    let mut bound = |what: &str, is: u64, most: u64| {
        if is > most {
            faults.push(format!("{what}: {is}, the limit is {most}"));
        }
    };
    let megabytes = |bytes: u64| bytes / MEGABYTE;
    bound(
        "MB of memory growth",
        megabytes(growth),
        megabytes(bounds.growth),
    );
    bound("child processes", children.0 as u64, bounds.children as u64);
    let (is, most) = (megabytes(children.1), megabytes(bounds.children_bytes));
    bound("MB of memory in child processes", is, most);
    faults
}

impl Running {
    fn start(binary: &Path, directory: &Path, transport: Transport) -> Result<Self> {
        let feed = Cameras::start(FEED)?;
        let (config, data) = (directory.join("attack.toml"), directory.join("data"));
        let mut text = String::from(
            "listen = \"127.0.0.1:0\"\nallow_local_sources = true\n[limits]\nloopback = true\n\
             [telemetry]\ntcp = \"127.0.0.1:0\"\nws = \"\"\n",
        );
        if transport == Transport::Tls {
            text += "[tls]\nmode = \"local\"\n";
        }
        for source in feed.sources(FEED.cameras) {
            let (id, url) = source.split_once('=').ok_or("the source has no id")?;
            text += &format!("[[camera]]\nid = \"{id}\"\nsource = \"{url}\"\n");
        }
        std::fs::write(&config, text)?;
        let started = HubBuilder::new(binary)
            .args(["serve", "--config"])
            .arg(config)
            .arg("--data")
            .arg(&data)
            .directory(std::env::temp_dir())
            .env("OCELLI_ADMIN_TOKEN", TOKEN)
            .try_start();
        let hub = started.map_err(|(status, line)| {
            format!("the hub did not start ({status:?}):\n{}", line.join("\n"))
        })?;
        let line = hub.wait_stderr("samples over TCP on ", TIMEOUT);
        let line = line.ok_or("the hub did not log its port for samples")?;
        let samples: SocketAddr = line.rsplit(' ').next().unwrap_or_default().parse()?;
        let mut target = Target::new(hub.addr(), samples, feed.address());
        target.cameras = FEED.cameras;
        target.admin = TOKEN;
        if transport == Transport::Tls {
            let authority = data.join("ca.pem");
            target.tls = Some(client_config(&authority, &[b"http/1.1"])?);
            target.tls_h2 = Some(client_config(&authority, &[b"h2"])?);
        }
        let body =
            r#"{"name":"operator","scope":"app","appId":"live","permissions":["camera:create"]}"#;
        let made = target.call_as_admin("POST /api/v1/tokens", body)?;
        target.operator =
            super::target::field(&made, "token").ok_or("the response has no token")?;
        let open = |address: SocketAddr, tls: Option<std::sync::Arc<_>>| {
            move || match &tls {
                Some(tls) => Link::connect(address)?.encrypt(tls),
                None => Link::connect(address),
            }
        };
        let (address, tls) = (target.address, &target.tls);
        let ids: Vec<_> = ids().iter().map(|id| format!("\"{id}\"")).collect();
        let running = Self {
            watcher: Watcher::over(open(address, tls.clone()), &ids.join(",")),
            health: Health::start(open(address, tls.clone())),
            target,
            hub,
            _feed: feed,
        };
        running.until_live()?;
        // First use allocates memory that is kept.
        running.measure(WARM_UP, || {});
        Ok(running)
    }

    /// Waits until the viewer gets frames from all cameras.
    fn until_live(&self) -> Result<Duration> {
        let ids = ids();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.watcher.until_live(&ids, TIMEOUT)
    }

    /// Measures for the duration `window`; `sample` is called at intervals.
    fn measure(&self, window: Duration, mut sample: impl FnMut()) -> Service {
        self.watcher.take();
        self.health.take();
        let started = Instant::now();
        while started.elapsed() < window {
            sample();
            thread::sleep(SAMPLE.min(window.saturating_sub(started.elapsed())));
        }
        let frames = self.watcher.take().frames;
        Service {
            rate: frames as f64 / started.elapsed().as_secs_f64(),
            health: self.health.take(),
        }
    }
}

fn ids() -> Vec<String> {
    (1..=FEED.cameras)
        .map(|number| format!("cam{number}"))
        .collect()
}

/// Returns a process's resident memory. The proportional set size would change with every other
/// process of the same binary.
fn resident(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// Resets a process's peak of resident memory. Returns the current value.
fn reset_peak(pid: u32) -> u64 {
    let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
    resident(pid)
}

/// Returns a process's peak of resident memory since the reset.
fn peak_of(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
