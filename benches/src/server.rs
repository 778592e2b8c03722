//! What is measured, as a process of its own: the hub, the bare loop, go2rtc.

use crate::scenario::{Scenario, Sink};
use ocelli_testkit::feed::Cameras;
use ocelli_testkit::{Hub, HubBuilder, Result, cpu_time, resident_bytes};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// The binaries.
pub struct Programs {
    pub hub: PathBuf,
    pub go2rtc: Option<PathBuf>,
}

/// A running one; ended when dropped.
pub enum Server {
    /// The hub, or the bare loop, which announces itself alike.
    Hub(Hub),
    Go2rtc {
        process: Child,
        address: SocketAddr,
        config: PathBuf,
    },
}

impl Server {
    /// What serves this sink, fed by these cameras; the floor feeds itself.
    pub fn start(
        programs: &Programs,
        sink: Sink,
        scenario: &Scenario,
        cameras: Option<&Cameras>,
    ) -> Result<Self> {
        let sources = cameras.map_or(Vec::new(), |cameras| cameras.sources(scenario.feed.cameras));
        match sink {
            Sink::Floor => floor(scenario).map(Self::Hub),
            Sink::Go2rtc => go2rtc(programs, &sources),
            Sink::Plain | Sink::V2 { .. } | Sink::Mjpeg | Sink::Jsmpeg => {
                hub(programs, |builder| builder.args(sources)).map(Self::Hub)
            }
        }
    }

    pub fn addr(&self) -> SocketAddr {
        match self {
            Self::Hub(hub) => hub.addr(),
            Self::Go2rtc { address, .. } => *address,
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Hub(hub) => hub.pid(),
            Self::Go2rtc { process, .. } => process.id(),
        }
    }

    /// The time that its threads have run.
    pub fn cpu_time(&self) -> Duration {
        cpu_time(self.pid())
    }

    /// The memory that it holds.
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.pid())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Self::Go2rtc {
            process, config, ..
        } = self
        {
            let _ = process.kill();
            let _ = process.wait();
            let _ = fs::remove_file(config);
        }
    }
}

/// A hub on a free port, with whatever else it is to be told.
pub fn hub(programs: &Programs, more: impl FnOnce(HubBuilder) -> HubBuilder) -> Result<Hub> {
    hub_as_configured(programs, |hub| more(hub.args(["--listen", "127.0.0.1:0"])))
}

/// A hub that is told by its configuration where to listen.
pub fn hub_as_configured(
    programs: &Programs,
    more: impl FnOnce(HubBuilder) -> HubBuilder,
) -> Result<Hub> {
    let builder = HubBuilder::new(&programs.hub)
        .arg("serve")
        // Not where somebody's ocelli.toml may be.
        .directory(std::env::temp_dir());
    start(more(builder))
}

fn start(builder: HubBuilder) -> Result<Hub> {
    builder.try_start().map_err(|(status, stderr)| {
        format!("it did not start ({status:?}):\n{}", stderr.join("\n")).into()
    })
}

/// The bare loop as a process: this program again.
pub fn floor(scenario: &Scenario) -> Result<Hub> {
    let arguments = [
        scenario.feed.cameras,
        scenario.viewers,
        scenario.feed.fps as usize,
        usize::from(scenario.feed.picture.width),
        usize::from(scenario.feed.picture.height),
        scenario.feed.picture.bytes,
    ];
    start(
        HubBuilder::new(std::env::current_exe()?)
            .arg("floor")
            .args(arguments.map(|number| number.to_string())),
    )
}

/// go2rtc with these sources and nothing else that it could do.
fn go2rtc(programs: &Programs, sources: &[String]) -> Result<Server> {
    let program = programs.go2rtc.as_ref().ok_or("there is no go2rtc here")?;
    // It says its port nowhere, so that it gets one that is free.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut text = format!(
        "app:\n  modules: [api, http, mjpeg, streams]\napi:\n  listen: \"{address}\"\nlog:\n  \
         level: error\nstreams:\n"
    );
    for source in sources {
        let (id, url) = source.split_once('=').ok_or("a source without an id")?;
        text += &format!("  {id}: {url}\n");
    }
    let config = std::env::temp_dir().join(format!("ocelli-bench-{}.yaml", std::process::id()));
    fs::write(&config, text)?;
    let process = Command::new(program)
        .arg("-config")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let server = Server::Go2rtc {
        process,
        address,
        config,
    };
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > until {
            return Err("go2rtc does not listen".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}
