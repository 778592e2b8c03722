//! A hub with honest cameras and a viewer, on which attacks are borne one after the other:
//! how the others fare meanwhile, what it costs, and whether that is given back.

use super::health::{Answers, Health};
use super::{Attack, MEGABYTE, Progress, Target, Told, Transport};
use crate::feed::{Cameras, Feed};
use crate::jpeg::Picture;
use crate::link::{Link, trusting};
use crate::watcher::Watcher;
use crate::{Hub, HubBuilder, Result, resident_bytes};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The honest cameras, whose pictures the attacks may not cost.
const FEED: Feed = Feed {
    cameras: 6,
    fps: 10,
    picture: Picture::QVGA,
};
const TOKEN: &str = "sk_of-the-attack-and-of-nobody-else";
/// Until an attack is in full swing.
const LEAD: Duration = Duration::from_millis(300);
/// Until an attack is over for the others, too.
const QUIET: Duration = Duration::from_millis(500);
const SAMPLE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);
/// The other cameras deliver at least this share of what they deliver undisturbed.
const SHARE: f64 = 0.9;
/// Afterwards the hub holds at most so much more than before.
const SETTLED: f64 = 1.5;

/// How much is asked of the machine, and how closely it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each attack for a moment, on a machine that has other work. Times are measured
    /// against what they are without the attack.
    Short,
    /// As the contract has it.
    Whole,
}

impl Form {
    /// How long `/health` may take, where it takes so long without an attack. On a busy
    /// machine single answers are late whatever the hub does, but not half of them.
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

    /// How long what was held may take to be given back.
    fn settling(self) -> Duration {
        match self {
            Form::Short => Duration::from_secs(5),
            Form::Whole => Duration::from_secs(45),
        }
    }

    /// After how many attacks it is measured anew how the others fare without one.
    fn renewal(self) -> usize {
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

/// What was seen during an attack.
pub struct Outcome {
    name: String,
    transport: Transport,
    /// The others' frames in percent of what they are undisturbed, and what that is a
    /// second.
    share: f64,
    undisturbed: Fare,
    health: Answers,
    /// The hub's memory before, at its highest and after.
    memory: [u64; 3],
    settled_in: Duration,
    /// Child processes at a time, and the memory of all of them.
    children: (usize, u64),
    told: Told,
    /// How long the attack was.
    lasted: Duration,
    /// What was not borne.
    pub faults: Vec<String>,
}

impl Outcome {
    /// The faults, each with the attack's name.
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
            self.told.connections,
            self.told.bytes as f64 / MEGABYTE as f64 / self.lasted.as_secs_f64(),
        )?;
        let endings = &self.told.endings;
        let ended: u64 = endings.iter().map(|(_, count)| count).sum();
        let mut most: Vec<_> = endings.iter().collect();
        most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        match most.is_empty() {
            true => write!(out, ", none ended")?,
            false => write!(out, ", {ended} times told or ended:")?,
        }
        for (how, count) in most.into_iter().take(4) {
            write!(out, " {how} (×{count})")?;
        }
        self.faults
            .iter()
            .try_for_each(|fault| write!(out, "\n    FAULT: {fault}"))
    }
}

/// How the others fare for a while.
#[derive(Clone, Copy)]
struct Fare {
    /// Frames a second.
    rate: f64,
    health: Answers,
}

/// A hub under attack, and those who have to be served meanwhile.
pub struct Stage {
    binary: PathBuf,
    directory: PathBuf,
    form: Form,
    transport: Transport,
    running: Running,
    undisturbed: Option<Fare>,
    since: usize,
}

/// In this order they end: the hub before its cameras.
struct Running {
    watcher: Watcher,
    health: Health,
    target: Target,
    hub: Hub,
    _feed: Cameras,
}

impl Stage {
    /// Starts a hub from this binary, which keeps what it keeps in `directory`.
    ///
    /// # Errors
    /// It does not start, or does not serve.
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

    /// Has the hub bear an attack. Where it was too slow, and only then, both are measured
    /// once more, with the attack and without: a machine with other work is slow at times.
    ///
    /// # Errors
    /// The attack can't be made, or there is no hub any more.
    pub fn bear(&mut self, attack: &Attack) -> Result<Outcome> {
        if self.since >= self.form.renewal() {
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

    /// One of them, and whether the others were served too slowly.
    fn attempt(&mut self, attack: &Attack) -> Result<(Outcome, bool)> {
        let none = Progress::default();
        let run = &self.running;
        if let Some(prepare) = &attack.prepare {
            prepare(&run.target, &none)?;
            thread::sleep(LEAD);
        }
        let window = self.form.seconds(attack);
        let undisturbed = match self.undisturbed {
            Some(fare) => fare,
            None => {
                self.since = 1;
                // Cameras that were held up catch up first.
                thread::sleep(QUIET);
                run.measure(window.min(Duration::from_secs(3)), || {})
            }
        };
        self.undisturbed = Some(undisturbed);
        let run = &mut self.running;
        let before = run.hub.resident_bytes();
        let resident = reset_peak(run.hub.pid());
        let progress = Progress::default();
        let mut children = (0, 0);
        let fare = thread::scope(|scope| {
            let (target, progress, hub) = (&run.target, &progress, &run.hub);
            scope.spawn(move || {
                // Whoever attacks has a machine of their own.
                let _ = rustix::process::nice(10);
                if let Err(error) = (attack.run)(target, progress) {
                    progress.fault(format!("the attack: {error}"));
                }
            });
            thread::sleep(LEAD);
            let fare = run.measure(window, || {
                let all = hub.children();
                let bytes = all.iter().map(|child| resident_bytes(child.pid)).sum();
                children = (children.0.max(all.len()), children.1.max(bytes));
            });
            progress.end();
            fare
        });
        let peak = before + peak_of(run.hub.pid()).saturating_sub(resident);
        let mut told = progress.told();
        let mut faults = std::mem::take(&mut told.faults);
        let share = fare.rate / undisturbed.rate;
        let deadline = self.form.deadline(undisturbed.health);
        let late = fare.health.half > deadline.half || fare.health.most > deadline.most;
        let slow = share < SHARE || late;
        if slow {
            faults.push(format!(
                "the others got {:.0} % of their frames; /health took {:.0} ms of {:.0}, p99 \
                 {:.0} ms of {:.0}",
                share * 100.0,
                millis(fare.health.half),
                millis(deadline.half),
                millis(fare.health.most),
                millis(deadline.most)
            ));
        }
        faults.extend(exceeded(attack, peak - before, children));
        if attack.bounds.ends && self.form == Form::Whole && told.endings.is_empty() {
            faults.push("nobody was cut off".to_owned());
        }
        if let Some(status) = run.hub.wait(Duration::ZERO) {
            return Err(format!("{}: the hub ended: {status}", attack.name).into());
        }
        let begun = Instant::now();
        let most = (before as f64 * SETTLED) as u64;
        while run.hub.resident_bytes() > most && begun.elapsed() < self.form.settling() {
            thread::sleep(SAMPLE);
        }
        let settled_in = begun.elapsed();
        let after = run.hub.resident_bytes();
        if after > most && !attack.bounds.keeps {
            let [before, after] = [before, after].map(|bytes| bytes / MEGABYTE);
            faults.push(format!("{before} MB before, and {after} MB for good"));
        }
        if let Err(error) = run.until_live() {
            faults.push(error.to_string());
            self.restart()?;
        }
        let outcome = Outcome {
            name: attack.name.clone(),
            transport: self.transport,
            share,
            undisturbed,
            health: fare.health,
            memory: [before, peak, after],
            settled_in,
            children,
            told,
            lasted: window + LEAD,
            faults,
        };
        Ok((outcome, slow))
    }

    /// Begins with another hub.
    fn restart(&mut self) -> Result<()> {
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
            faults.push(format!("{what}: {is}, where {most} is the most"));
        }
    };
    let megabytes = |bytes: u64| bytes / MEGABYTE;
    bound("MB more", megabytes(growth), megabytes(bounds.growth));
    bound("child processes", children.0 as u64, bounds.children as u64);
    let (is, most) = (megabytes(children.1), megabytes(bounds.children_bytes));
    bound("MB of child processes", is, most);
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
            let (id, url) = source.split_once('=').ok_or("a source without an id")?;
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
        let hub = started.map_err(|(status, said)| {
            format!("the hub did not start ({status:?}):\n{}", said.join("\n"))
        })?;
        let said = hub.wait_stderr("samples by TCP on ", PATIENCE);
        let said = said.ok_or("the hub does not say where it takes samples")?;
        let samples: SocketAddr = said.rsplit(' ').next().unwrap_or_default().parse()?;
        let mut target = Target::new(hub.addr(), samples, feed.address());
        target.cameras = FEED.cameras;
        target.admin = TOKEN;
        if transport == Transport::Tls {
            let authority = data.join("ca.pem");
            target.tls = Some(trusting(&authority, &[b"http/1.1"])?);
            target.tls_h2 = Some(trusting(&authority, &[b"h2"])?);
        }
        let body =
            r#"{"name":"operator","scope":"app","appId":"live","permissions":["camera:create"]}"#;
        let made = target.administer("POST /api/v1/tokens", body)?;
        target.operator = super::target::field(&made, "token").ok_or("a token without itself")?;
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
        // What is used for the first time takes memory that stays.
        running.measure(LEAD, || {});
        Ok(running)
    }

    /// Waits until the viewer gets all cameras.
    fn until_live(&self) -> Result<Duration> {
        let ids = ids();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.watcher.until_live(&ids, PATIENCE)
    }

    /// How the others fare for so long; `sample` is called now and then.
    fn measure(&self, window: Duration, mut sample: impl FnMut()) -> Fare {
        self.watcher.take();
        self.health.take();
        let begun = Instant::now();
        while begun.elapsed() < window {
            sample();
            thread::sleep(SAMPLE.min(window.saturating_sub(begun.elapsed())));
        }
        let frames = self.watcher.take().frames;
        Fare {
            rate: frames as f64 / begun.elapsed().as_secs_f64(),
            health: self.health.take(),
        }
    }
}

fn ids() -> Vec<String> {
    (1..=FEED.cameras)
        .map(|number| format!("cam{number}"))
        .collect()
}

/// Forgets the highest memory of a process until now; what it has at the moment.
fn reset_peak(pid: u32) -> u64 {
    let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
    status(pid, "VmRSS:")
}

/// The highest memory of a process since then.
fn peak_of(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
