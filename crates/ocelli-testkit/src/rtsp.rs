//! GStreamer's RTSP server as a real camera.
//!
//! The server is `rtsp_server.py` in its own process group. It exits when its standard input
//! ends, so that it does not outlive even a killed test. All calls block for a few
//! milliseconds; [`RtspServer::start`] blocks longer.

use crate::lines::Lines;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rtsp_server.py");
const TIMEOUT: Duration = Duration::from_secs(20);

/// The authentication a viewer must use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtspAuth {
    /// HTTP Basic: the password in plain text.
    Basic,
    /// HTTP Digest.
    Digest,
}

/// Options of the camera.
#[derive(Clone, Debug)]
pub struct RtspServerOptions {
    /// Width and height, in pixels.
    pub size: (u16, u16),
    /// Frame rate, in pictures per second.
    pub fps: u32,
    /// Distance from one key frame to the next, in pictures.
    pub keys: u32,
    /// Bitrate of H.264 and H.265, in kbit/s.
    pub bitrate: u32,
    /// The pattern of GStreamer's `videotestsrc`; a moving ball by default.
    pub pattern: String,
    /// Whether it sends RTP only over UDP.
    pub udp: bool,
    /// User, password and authentication scheme, if required.
    pub auth: Option<(String, String, RtspAuth)>,
    /// PEM file with a certificate and its key. With one, every connection must use TLS.
    pub tls: Option<PathBuf>,
}

impl Default for RtspServerOptions {
    fn default() -> Self {
        Self {
            size: (320, 240),
            fps: 15,
            keys: 15,
            bitrate: 1000,
            pattern: "ball".into(),
            udp: false,
            auth: None,
            tls: None,
        }
    }
}

/// A running RTSP camera, with these mounts:
///
/// | mount | content |
/// |---|---|
/// | `/h264`, `/h265`, `/mjpeg`, `/vp8` | a moving ball |
/// | `/small` | H.264 at 160 × 120, as a camera's substream |
/// | `/clock` | H.264 whose brightness encodes the time: see [`RtspServer::clock_shade`] |
/// | `/oob` | H.264 with parameter sets in the session description only |
/// | `/bframes` | H.264 with B frames |
/// | `/baseline` | H.264, constrained baseline profile |
/// | `/open` | H.264, high profile, B frames and open groups |
/// | `/long` | H.264 with a key frame every 10 s |
/// | `/resize` | H.264 whose size changes every 3 s |
/// | `/av` | H.264 and G.711 sound, a tone of 440 Hz |
/// | `/aac` | H.264 and AAC sound, a tone of 1000 Hz |
/// | `/audio` | sound only |
pub struct RtspServer {
    options: RtspServerOptions,
    port: u16,
    running: Option<Running>,
}

struct Running {
    process: Child,
    commands: ChildStdin,
    answers: Lines,
}

impl RtspServer {
    /// Starts the server and waits until it listens.
    ///
    /// # Panics
    /// Panics if GStreamer's RTSP server is not installed (`make setup-test`).
    pub fn start(options: RtspServerOptions) -> Self {
        let mut server = Self {
            options,
            port: 0,
            running: None,
        };
        server.restart();
        server
    }

    /// The server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of the server's process, which leads its own process group.
    pub fn pid(&self) -> u32 {
        self.running
            .as_ref()
            .expect("the RTSP server runs")
            .process
            .id()
    }

    /// Returns the URL of a mount, without user and password.
    pub fn url(&self, mount: &str) -> String {
        let scheme = match self.options.tls {
            Some(_) => "rtsps",
            None => "rtsp",
        };
        format!(
            "{scheme}://127.0.0.1:{}/{}",
            self.port,
            mount.trim_start_matches('/')
        )
    }

    /// Returns the URL of a mount with the given user and password.
    pub fn url_as(&self, user: &str, password: &str, mount: &str) -> String {
        format!(
            "rtsp://{user}:{password}@127.0.0.1:{}/{}",
            self.port,
            mount.trim_start_matches('/')
        )
    }

    /// The number of viewers playing now, on all mounts.
    pub fn sessions(&mut self) -> usize {
        self.ask("sessions")
    }

    /// The number of viewers playing one mount now.
    pub fn sessions_of(&mut self, mount: &str) -> usize {
        self.ask(&format!("sessions /{}", mount.trim_start_matches('/')))
    }

    /// The number of PLAY requests since the start, on all mounts.
    pub fn opened(&mut self) -> usize {
        self.ask("opened")
    }

    /// The number of PLAY requests since the start, on one mount.
    pub fn opened_of(&mut self, mount: &str) -> usize {
        self.ask(&format!("opened /{}", mount.trim_start_matches('/')))
    }

    /// The number of open connections, playing or not.
    pub fn connections(&mut self) -> usize {
        self.ask("tunnels")
    }

    fn ask(&mut self, question: &str) -> usize {
        let running = self.running.as_mut().expect("the RTSP server runs");
        let seen = running.answers.count();
        writeln!(running.commands, "{question}").expect("the RTSP server takes a command");
        let response = running.answers.wait(seen, TIMEOUT, |_| true);
        let count = response
            .as_deref()
            .and_then(|line| line.split_once(' ')?.1.parse().ok());
        count.unwrap_or_else(|| panic!("the RTSP server answered {response:?} to {question:?}"))
    }

    /// Kills the server (SIGKILL), which closes its connections, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            signal_group(&running.process, Signal::KILL);
            let _ = running.process.wait();
        }
    }

    /// Starts it again on its previous port.
    pub fn restart(&mut self) {
        self.kill();
        let options = &self.options;
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg(SCRIPT)
            .args(["--port", &self.port.to_string()])
            .args(["--size", &format!("{}x{}", options.size.0, options.size.1)])
            .args(["--fps", &options.fps.to_string()])
            .args(["--keys", &options.keys.to_string()])
            .args(["--bitrate", &options.bitrate.to_string()])
            .args(["--pattern", &options.pattern]);
        if options.udp {
            command.arg("--udp");
        }
        if let Some((user, password, auth)) = &options.auth {
            let auth = match auth {
                RtspAuth::Basic => "basic",
                RtspAuth::Digest => "digest",
            };
            command.args(["--user", user, "--password", password, "--auth", auth]);
        }
        if let Some(file) = &options.tls {
            command.arg("--tls").arg(file);
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("/usr/bin/python3 can be started");
        let commands = process.stdin.take().expect("standard input is a pipe");
        let answers = Lines::read(process.stdout.take().expect("standard output is a pipe"));
        let first = answers.wait(0, TIMEOUT, |_| true);
        self.running = Some(Running {
            process,
            commands,
            answers,
        });
        let port = first
            .as_deref()
            .and_then(|line| line.strip_prefix("port ")?.parse().ok());
        self.port = port
            .unwrap_or_else(|| panic!("no RTSP server (make setup-test installs it): {first:?}"));
    }

    /// Stops its process (SIGSTOP): connections stay open, and nothing more is sent.
    pub fn suspend(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes its process (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let running = self.running.as_ref().expect("the RTSP server runs");
        signal_group(&running.process, signal);
    }

    /// Waits until `count` viewers play. Returns false on timeout.
    pub fn wait_sessions(&mut self, count: usize, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        loop {
            if self.sessions() == count {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The shade, 8 to 248, that `/clock` shows at a time in µs since the Unix epoch: one of
    /// 16, selected by tenths of a second modulo 16.
    pub fn clock_shade(micros: u64) -> u8 {
        (micros / 100_000 % 16 * 16 + 8) as u8
    }

    /// How long before `micros` the mount `/clock` showed `shade`: 0 to 1.5 s in steps of 0.1 s,
    /// because the shades repeat every 1.6 s. A camera sets its shade one frame early.
    pub fn clock_age(shade: u8, micros: u64) -> Duration {
        let now = micros / 100_000 % 16;
        let then = u64::from(shade) / 16;
        Duration::from_millis((now + 16 - then) % 16 * 100)
    }
}

impl Drop for RtspServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Signals the whole process group of a child that leads it and has not been reaped.
fn signal_group(process: &Child, signal: Signal) {
    if let Some(pid) = Pid::from_raw(process.id() as i32) {
        let _ = kill_process_group(pid, signal);
    }
}
