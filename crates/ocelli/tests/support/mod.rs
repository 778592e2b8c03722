//! Shared test support; this module runs a hub with one camera in the test's process.
//!
//! [`http`] and [`wall`] are clients that share no code with the hub, [`hub`] is the program as
//! a process, and [`site`] is the whole server in this process, with cameras whose pictures the
//! test supplies.

// Each test binary uses only a part of this.
#![allow(dead_code, clippy::unwrap_used)]

pub mod device;
pub mod doctor;
pub mod http;
pub mod hub;
pub mod native;
pub mod rtsp;
pub mod secure;
pub mod site;
pub mod tempdir;
pub mod wall;

use ocelli::config::Config;
use ocelli::launch;
use ocelli_core::{Camera, CameraStatus, Follower, Frame, Hub, Quality};
use ocelli_testkit::Child;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a test waits for an expected event.
pub const TIMEOUT: Duration = Duration::from_secs(25);

/// A hub with one camera.
pub struct Watched {
    pub hub: Arc<Hub>,
    pub camera: Arc<Camera>,
}

impl Watched {
    /// A camera with this address.
    pub fn new(source: &str) -> Self {
        Self::with(source, "")
    }

    /// A camera with this address and additional lines of configuration.
    pub fn with(source: &str, lines: &str) -> Self {
        Self::of(&format!(
            "[[camera]]\nid = \"cam\"\nsource = '{source}'\n{lines}\n"
        ))
    }

    /// The camera `cam` of this configuration.
    pub fn of(text: &str) -> Self {
        let config = Config::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let hub = launch::hub(&config).expect("a valid configuration");
        let camera = hub.find("live", "cam").expect("the camera cam");
        Self { hub, camera }
    }

    /// Starts watching.
    pub fn watch(&self) -> Viewer {
        Viewer(self.camera.follow(Quality::Main))
    }

    /// Waits until `wanted` accepts the camera's status.
    pub async fn until(&self, wanted: impl Fn(&CameraStatus) -> bool) -> CameraStatus {
        let deadline = Instant::now() + TIMEOUT;
        let mut changes = self.hub.changes();
        loop {
            let status = self.camera.status();
            if wanted(&status) {
                return status;
            }
            match timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => panic!("timed out; last status: {status:?}"),
            }
        }
    }

    /// Waits until the camera fails; returns the reason.
    pub async fn failure(&self) -> String {
        let _viewer = self.watch();
        let status = self.until(|status| status.state.name() == "failed").await;
        status.state.reason().unwrap_or_default().to_owned()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.hub.stop();
    }
}

/// A viewer of the JPEG stream.
pub struct Viewer(Follower);

impl Viewer {
    /// The next frame.
    pub async fn frame(&mut self) -> Frame {
        let deadline = Instant::now() + TIMEOUT;
        let frame = timeout_at(deadline, self.0.next()).await;
        frame.expect("a picture in time")
    }

    /// Returns the next frame that `wanted` accepts.
    pub async fn frame_with(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let frame = timeout_at(deadline, self.0.next()).await;
            let frame = frame.expect("a matching picture in time");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// Returns the next frame's size.
    pub async fn size(&mut self) -> (u16, u16) {
        let frame = self.frame().await;
        ocelli_media::jpeg::size(&frame.payload()).expect("a JPEG")
    }
}

/// Returns the running ffmpeg children of this process. Tests run in parallel in one process,
/// so a test identifies its own by a word on their command line.
pub fn ffmpegs(word: &str) -> Vec<Child> {
    let mut children = ocelli_testkit::children_of(std::process::id());
    children.retain(|child| child.name == "ffmpeg" && child.command.contains(word));
    children
}

/// Returns the path of a film that ffmpeg makes in this directory; it lasts a second unless the
/// arguments say otherwise.
pub fn film(dir: &tempdir::Dir, name: &str, arguments: &str) -> String {
    let path = dir.0.join(name);
    let made = std::process::Command::new("ffmpeg")
        .args("-v error -y -f lavfi -i testsrc2=size=320x180:rate=10 -t 1".split(' '))
        .args(arguments.split_whitespace())
        .arg(&path)
        .status();
    assert!(made.expect("ffmpeg").success());
    path.display().to_string()
}

/// Polls until `condition` holds, for conditions without an event.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Returns a JPEG as decoded by ffmpeg: one grey byte for each of 16 × 16 areas.
pub fn shades(jpeg: &[u8]) -> Vec<u8> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let arguments = "-v error -f image2pipe -c:v mjpeg -i pipe:0 -vf scale=16:16 -pix_fmt gray -f rawvideo pipe:1";
    let mut child = Command::new("ffmpeg")
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg");
    child.stdin.take().unwrap().write_all(jpeg).unwrap();
    child.wait_with_output().unwrap().stdout
}
