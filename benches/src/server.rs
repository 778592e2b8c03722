//! The measured processes: the hub, the bare loop and go2rtc.

use crate::scenario::{Media, Scenario, Sink};
use ocelli_testkit::{Hub, HubBuilder, Result, cpu_time, resident_bytes};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The binaries.
pub struct Programs {
    pub hub: PathBuf,
    pub go2rtc: Option<PathBuf>,
}

/// A running server process. It ends when dropped.
pub enum Server {
    /// The hub, or the bare loop, which prints its address in the same way.
    Hub(Hub),
    Go2rtc {
        process: Child,
        address: SocketAddr,
        config: PathBuf,
    },
}

impl Server {
    /// Starts the server for this sink with these sources.
    pub fn start(programs: &Programs, sink: Sink, sources: &[String]) -> Result<Self> {
        match sink {
            Sink::Go2rtc => go2rtc(programs, sources, "api, http, mjpeg, streams"),
            _ => hub(programs, |builder| builder.args(sources)).map(Self::Hub),
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

    /// Returns the CPU time of its threads.
    pub fn cpu_time(&self) -> Duration {
        cpu_time(self.pid())
    }

    /// Returns its memory.
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

/// Starts a hub on a free port, with further arguments.
pub fn hub(programs: &Programs, more: impl FnOnce(HubBuilder) -> HubBuilder) -> Result<Hub> {
    hub_as_configured(programs, |hub| more(hub.args(["--listen", "127.0.0.1:0"])))
}

/// Starts a hub whose configuration contains the listen address.
pub fn hub_as_configured(
    programs: &Programs,
    more: impl FnOnce(HubBuilder) -> HubBuilder,
) -> Result<Hub> {
    let builder = HubBuilder::new(&programs.hub)
        .arg("serve")
        // Not in the current directory, which may contain an ocelli.toml.
        .directory(std::env::temp_dir());
    start(more(builder))
}

fn start(builder: HubBuilder) -> Result<Hub> {
    builder.try_start().map_err(|(status, stderr)| {
        format!(
            "the process did not start ({status:?}):\n{}",
            stderr.join("\n")
        )
        .into()
    })
}

/// Starts the bare loop, which is this program in a separate process. It needs the recording's file
/// for H.264.
pub fn floor(scenario: &Scenario, recording: Option<&Path>) -> Result<Hub> {
    let (cameras, viewers) = (scenario.media.cameras(), scenario.viewers);
    let builder = HubBuilder::new(std::env::current_exe()?);
    let arguments = |numbers: &[usize]| -> Vec<String> {
        numbers.iter().map(|number| number.to_string()).collect()
    };
    start(match (scenario.media, recording) {
        (Media::Jpeg(feed), _) => builder.arg("floor").args(arguments(&[
            cameras,
            viewers,
            feed.fps as usize,
            usize::from(feed.picture.width),
            usize::from(feed.picture.height),
            feed.picture.bytes,
        ])),
        (Media::H264 { video, .. }, Some(file)) => builder
            .arg("video-floor")
            .args(arguments(&[cameras, viewers, video.fps as usize]))
            .arg(file),
        (Media::H264 { .. }, None) => return Err("the floor needs a recording".into()),
    })
}

/// Starts go2rtc with these sources, and with only the modules that the benchmark needs. Its own
/// RTSP server, which would listen on all addresses, is off.
pub fn go2rtc(programs: &Programs, sources: &[String], modules: &str) -> Result<Server> {
    let program = programs
        .go2rtc
        .as_ref()
        .ok_or("go2rtc is not available; pass its binary with --go2rtc")?;
    // go2rtc does not print its port, so a free one is chosen here.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut text = format!(
        "app:\n  modules: [{modules}]\napi:\n  listen: \"{address}\"\nrtsp:\n  listen: \"\"\n\
         log:\n  level: error\nstreams:\n"
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
    let until = Instant::now() + TIMEOUT;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > until {
            return Err("go2rtc does not listen".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}
