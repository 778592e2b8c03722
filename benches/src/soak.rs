//! A long run of all features at once, with a fault every few seconds: cameras over HTTP and RTSP,
//! a camera of raw pictures with a viewer of its MPEG-1, a fleet of devices, some of which
//! misbehave, samples, and a wall. After each fault everything must recover, nothing may grow, and
//! no sample older than a second may be lost.

use crate::journal::{Journal, missing};
use crate::server::{self, Programs};
use clap::Args;
use ocelli_testkit::feed::{Cameras, Feed};
use ocelli_testkit::jpeg::{Picture, now_micros};
use ocelli_testkit::socket::Socket;
use ocelli_testkit::watcher::Watcher;
use ocelli_testkit::{FAKE_PI, Hub, Result, RtspServer, RtspServerOptions, cpu_time};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const HTTP: usize = 2;
const DEVICES: usize = 20;
const WATCHED: [&str; 4] = ["cam1", "cam2", "rtsp", "pi"];
const FROZEN: usize = 20;
const TOKEN: &str = "sk_token-of-the-soak-test";
/// Time in which everything must recover after a fault. It is longer than the hub's longest wait.
const RECOVERY: Duration = Duration::from_secs(40);
/// Time after which a camera without frames no longer counts as live.
const NOTICE_TIME: Duration = Duration::from_secs(1);
/// Time between a full disk and the next kill. The store writes the samples that it missed over
/// several rounds.
const SETTLE_TIME: Duration = Duration::from_secs(3);

/// The soak test, run by `make soak`.
#[derive(Args)]
pub struct Soak {
    /// The hub's directory, on a separate small file system
    #[arg(long)]
    directory: PathBuf,
    /// The libfaketime library; without it the clock is not stepped
    #[arg(long)]
    faketime: Option<PathBuf>,
    /// Duration in minutes
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// Seconds from the end of one fault to the next
    #[arg(long, default_value_t = 3.0)]
    every: f64,
}

/// The injected faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    KilledFfmpeg,
    GoneCameras,
    FrozenRtsp,
    KilledRtsp,
    FrozenViewers,
    FullDisk,
    ClockStep,
    Terminated,
    Killed,
}

const FAULTS: [Fault; 9] = [
    Fault::KilledFfmpeg,
    Fault::GoneCameras,
    Fault::FrozenRtsp,
    Fault::FrozenViewers,
    Fault::ClockStep,
    Fault::KilledRtsp,
    Fault::FullDisk,
    Fault::Terminated,
    Fault::Killed,
];
/// The hub is restarted only in the last of this many rounds, so that growth can be detected.
const ROUNDS_OF_A_LIFE: usize = 2;

/// All running parts of the soak test.
struct Stage<'a> {
    programs: &'a Programs,
    soak: &'a Soak,
    config: PathBuf,
    clock: PathBuf,
    hub: Option<Hub>,
    address: SocketAddr,
    cameras: Option<Cameras>,
    cameras_at: SocketAddr,
    rtsp: RtspServer,
    journal: Journal,
    wall: Watcher,
    jsmpeg: Watcher,
    fleet: Fleet,
    lost: usize,
    kept: usize,
}

/// `ocelli simulate` as a process.
struct Fleet(Child);

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Soak {
    /// Runs the soak test.
    ///
    /// # Errors
    /// The message lists what did not recover, grew, or was lost.
    pub fn run(&self, programs: &Programs) -> Result<()> {
        let mut stage = self.prepare(programs)?;
        let mut bad = Vec::new();
        let mut usage = Vec::new();
        stage.settle("the start", &mut bad);
        let until = Instant::now() + Duration::from_secs_f64(self.minutes * 60.0);
        let mut round = 0;
        while Instant::now() < until && bad.len() < 20 {
            round += 1;
            let restarts = round % ROUNDS_OF_A_LIFE == 0;
            usage.push(stage.usage(round));
            for fault in FAULTS {
                if fault == Fault::Terminated && !restarts {
                    usage.push(stage.usage(round));
                }
                if matches!(fault, Fault::Terminated | Fault::Killed) && !restarts {
                    continue;
                }
                if Instant::now() > until {
                    break;
                }
                thread::sleep(Duration::from_secs_f64(self.every));
                if let Err(error) = stage.inject(fault) {
                    bad.push(format!("{fault:?}: {error}"));
                }
                stage.settle(&format!("{fault:?}"), &mut bad);
            }
        }
        usage.push(stage.usage(round));
        println!(
            "samples: {} checked after restarts, {} lost",
            stage.kept, stage.lost
        );
        if stage.lost > 0 {
            bad.push(format!("{} samples were lost", stage.lost));
        }
        bad.extend(growth(&usage));
        match bad.is_empty() {
            true => Ok(()),
            false => Err(bad.join("\n").into()),
        }
    }

    fn prepare<'a>(&'a self, programs: &'a Programs) -> Result<Stage<'a>> {
        let cameras = Cameras::start(Feed {
            cameras: HTTP,
            fps: 8,
            picture: Picture::QVGA,
        })?;
        let rtsp = RtspServer::start(RtspServerOptions::default());
        let address = free_port()?;
        let samples = free_port()?;
        let config = self.directory.join("soak.toml");
        let mut text = format!(
            "listen = \"{address}\"\n[telemetry]\ntcp = \"{samples}\"\nws = \"\"\n\
             [[camera]]\nid = \"rtsp\"\nsource = \"{}\"\n\
             [[camera]]\nid = \"pi\"\nexec = [\"python3\", \"{FAKE_PI}\", \"320\", \"240\", \"10\"]\n\
             format = \"yuv420p\"\nsize = \"320x240\"\nfps = 10\n",
            rtsp.url("h264")
        );
        for source in cameras.sources(HTTP) {
            let (id, url) = source.split_once('=').ok_or("a source without an id")?;
            text += &format!("[[camera]]\nid = \"{id}\"\nsource = \"{url}\"\n");
        }
        fs::write(&config, text)?;
        let clock = self.directory.join("clock");
        fs::write(&clock, "+0")?;
        let hub = start(self, programs, &config, &clock)?;
        let fleet = Command::new(&programs.hub)
            .args(["simulate", "--chaos", "--cameras"])
            .arg(DEVICES.to_string())
            .arg("--url")
            .arg(format!("http://{address}"))
            .env("OCELLI_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stderr(fs::File::create(self.directory.join("fleet.log"))?)
            .spawn()?;
        Ok(Stage {
            programs,
            soak: self,
            config,
            clock,
            hub: Some(hub),
            address,
            cameras_at: cameras.address(),
            cameras: Some(cameras),
            rtsp,
            journal: Journal::start(samples),
            wall: Watcher::start(address, &WATCHED.map(|id| format!("\"{id}\"")).join(",")),
            jsmpeg: Watcher::jsmpeg(address, "pi"),
            fleet: Fleet(fleet),
            lost: 0,
            kept: 0,
        })
    }
}

/// Returns an address with a free port, which stays the same across restarts.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn start(soak: &Soak, programs: &Programs, config: &Path, clock: &Path) -> Result<Hub> {
    server::hub_as_configured(programs, |hub| {
        let hub = hub
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(soak.directory.join("store"))
            .env("OCELLI_ADMIN_TOKEN", TOKEN);
        match &soak.faketime {
            Some(library) => hub
                .env("LD_PRELOAD", library)
                .env("FAKETIME_TIMESTAMP_FILE", clock)
                .env("FAKETIME_CACHE_DURATION", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            None => hub,
        }
    })
}

impl Stage<'_> {
    fn hub(&self) -> Result<&Hub> {
        self.hub
            .as_ref()
            .ok_or_else(|| "the hub is not running".into())
    }

    /// Waits until everything is live again, and prints how long it took.
    fn settle(&mut self, after: &str, bad: &mut Vec<String>) {
        let started = Instant::now();
        // A camera that has just stopped still counts as live.
        thread::sleep(NOTICE_TIME);
        for (watcher, cameras) in [(&self.wall, &WATCHED[..]), (&self.jsmpeg, &["jsmpeg"][..])] {
            if let Err(error) = watcher.until_live(cameras, RECOVERY) {
                bad.push(format!("after {after}: {error}"));
            }
        }
        if let Err(error) = self.until_fleet_is_live() {
            bad.push(format!("after {after}: {error}"));
        }
        let (wall, jsmpeg) = (self.wall.take(), self.jsmpeg.take());
        println!(
            "{after}: live again {:.1} s later; longest gap {:.1} s ({}), {} + {} disconnects",
            started.elapsed().as_secs_f64(),
            wall.gap.0.as_secs_f64(),
            wall.gap.1,
            wall.breaks,
            jsmpeg.breaks
        );
        let ended = self.hub.as_mut().and_then(|hub| hub.wait(Duration::ZERO));
        if let Some(status) = ended {
            bad.push(format!(
                "after {after}: the hub ended unexpectedly, {status}"
            ));
        }
        if matches!(self.fleet.0.try_wait(), Ok(Some(_))) {
            bad.push(format!("after {after}: the fleet ended"));
        }
    }

    /// Waits until most of the fleet is live. Some of the misbehaving devices are always offline.
    fn until_fleet_is_live(&self) -> Result<()> {
        let started = Instant::now();
        let wanted = WATCHED.len() + DEVICES * 3 / 4;
        loop {
            let live = self.live_cameras();
            if live.as_ref().is_ok_and(|live| *live >= wanted) {
                return Ok(());
            }
            if started.elapsed() > RECOVERY {
                return Err(format!("live cameras: {live:?}, expected at least {wanted}").into());
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Returns the number of live cameras in the hub's API.
    fn live_cameras(&self) -> Result<usize> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let request = format!(
            "GET /api/v1/cameras HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\n\
             Connection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes())?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response.matches("\"state\":\"live\"").count())
    }

    fn inject(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KilledFfmpeg => {
                for child in self.hub()?.children() {
                    if child.name.starts_with("ffmpeg") {
                        child.signal(Signal::KILL);
                    }
                }
            }
            Fault::GoneCameras => {
                self.cameras = None;
                thread::sleep(Duration::from_secs(2));
                self.cameras = Some(Cameras::start_at(
                    Feed {
                        cameras: HTTP,
                        fps: 8,
                        picture: Picture::QVGA,
                    },
                    self.cameras_at,
                )?);
            }
            Fault::FrozenRtsp => {
                self.rtsp.suspend();
                thread::sleep(Duration::from_secs(4));
                self.rtsp.resume();
            }
            Fault::KilledRtsp => self.rtsp.restart(),
            Fault::FrozenViewers => {
                let wall = || Socket::wall(self.address, "\"*\"", Duration::from_secs(5));
                let frozen = (0..FROZEN).map(|_| wall()).collect::<Result<Vec<_>>>()?;
                thread::sleep(Duration::from_secs(4));
                drop(frozen);
            }
            Fault::FullDisk => {
                let filling = self.soak.directory.join("filling");
                let mut file = fs::File::create(&filling)?;
                while file.write_all(&[0; 64 * 1024]).is_ok() {}
                while file.write_all(&[0; 64]).is_ok() {}
                thread::sleep(Duration::from_secs(3));
                drop(file);
                fs::remove_file(&filling)?;
                thread::sleep(SETTLE_TIME);
            }
            Fault::ClockStep => {
                if self.soak.faketime.is_none() {
                    return Ok(());
                }
                for hours in [2, -2, 0] {
                    fs::write(&self.clock, format!("{:+}", hours * 3600))?;
                    // The library reads the file once a second.
                    thread::sleep(Duration::from_secs(2));
                    let off = self.clock_offset()?;
                    if (off - f64::from(hours) * 3600.0).abs() > 60.0 {
                        return Err(format!("the hub's clock is {off:.0} s off").into());
                    }
                }
            }
            Fault::Terminated => {
                let mut hub = self.hub.take().ok_or("the hub is not running")?;
                let fault = Instant::now();
                let ended = hub.terminate(Duration::from_secs(5));
                self.wait_for_recovery(fault)?;
                match ended {
                    Some((status, _)) if status.success() => {}
                    Some((status, _)) => return Err(format!("the hub ended with {status}").into()),
                    None => return Err("the hub did not end within 5 s".into()),
                }
            }
            Fault::Killed => {
                let mut hub = self.hub.take().ok_or("the hub is not running")?;
                let children = hub.children();
                let fault = Instant::now();
                hub.signal(Signal::KILL);
                hub.wait(Duration::from_secs(5));
                self.wait_for_recovery(fault)?;
                let left = children.iter().filter(|child| child.is_alive());
                let left: Vec<_> = left.map(|child| child.name.clone()).collect();
                if !left.is_empty() {
                    return Err(format!("child processes of the hub still run: {left:?}").into());
                }
            }
        }
        Ok(())
    }

    /// Returns the offset of the hub's clock from the local one, in seconds.
    fn clock_offset(&self) -> Result<f64> {
        let more = "Sec-WebSocket-Protocol: ocelli.v2\r\n";
        let time_limit = Duration::from_secs(5);
        let mut socket = Socket::open(self.address, "/ws/cameras", more, time_limit)?;
        let hello = String::from_utf8(socket.message()?.1)?;
        let time = hello.split("\"time\":").nth(1).unwrap_or_default();
        let time: String = time.chars().take_while(char::is_ascii_digit).collect();
        Ok((time.parse::<f64>()? - now_micros() as f64) / 1e6)
    }

    /// Restarts the hub and checks that it still has the samples from before the restart.
    fn wait_for_recovery(&mut self, fault: Instant) -> Result<()> {
        let (series, written): (String, BTreeSet<u64>) = self.journal.start_series(fault);
        self.hub = Some(start(self.soak, self.programs, &self.config, &self.clock)?);
        let lost = missing(self.address, &series, &written)?;
        self.kept += written.len();
        self.lost += lost;
        match lost {
            0 => Ok(()),
            _ => Err(format!("{lost} of {} samples of {series} are lost", written.len()).into()),
        }
    }

    /// Returns the resources that the hub uses now.
    fn usage(&self, round: usize) -> ResourceUsage {
        let Some(hub) = &self.hub else {
            return ResourceUsage::default();
        };
        let usage = ResourceUsage {
            life: hub.pid(),
            memory: hub.resident_bytes(),
            threads: hub.threads(),
            descriptors: hub.descriptors(),
        };
        println!(
            "round {round}: {:.1} MB, {} threads, {} descriptors, {} children, {:.1} s of CPU",
            usage.memory as f64 / 1e6,
            usage.threads,
            usage.descriptors,
            hub.children().len(),
            cpu_time(hub.pid()).as_secs_f64()
        );
        usage
    }
}

/// The resources of one process of the hub at one time.
#[derive(Clone, Copy, Default)]
struct ResourceUsage {
    life: u32,
    memory: u64,
    threads: usize,
    descriptors: usize,
}

/// Returns what grew between checks of one process of the hub. A few descriptors are tolerated,
/// because devices connect and disconnect.
fn growth(usage: &[ResourceUsage]) -> Vec<String> {
    let mut bad = Vec::new();
    for pair in usage.windows(2).filter(|pair| pair[0].life == pair[1].life) {
        let (before, after) = (pair[0], pair[1]);
        if after.memory > before.memory * 3 / 2 + 20_000_000 {
            bad.push(format!(
                "memory grew from {} to {} bytes",
                before.memory, after.memory
            ));
        }
        if after.threads > before.threads + 8 {
            bad.push(format!(
                "threads grew from {} to {}",
                before.threads, after.threads
            ));
        }
        if after.descriptors > before.descriptors + 30 {
            bad.push(format!(
                "descriptors grew from {} to {}",
                before.descriptors, after.descriptors
            ));
        }
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_detected_only_within_one_process() {
        let usage = |life, descriptors| ResourceUsage {
            life,
            memory: 50_000_000,
            threads: 4,
            descriptors,
        };
        assert!(growth(&[usage(1, 40), usage(1, 60), usage(2, 400)]).is_empty());
        assert_eq!(growth(&[usage(1, 40), usage(1, 90)]).len(), 1);
    }
}
