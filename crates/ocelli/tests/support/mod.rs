//! What the tests share: here a hub in this process with one camera.
//!
//! [`http`] and [`wall`] are clients that are not the hub's own code, [`hub`] is the
//! program as a process, [`site`] the whole server in this process, with cameras that show
//! what a test tells them.

// Each test file uses its own part of this.
#![allow(dead_code, clippy::unwrap_used)]

pub mod device;
pub mod doctor;
pub mod http;
pub mod hub;
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

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(25);

/// A hub with one camera.
pub struct Watched {
    pub hub: Arc<Hub>,
    pub camera: Arc<Camera>,
}

impl Watched {
    /// A camera of this address.
    pub fn new(source: &str) -> Self {
        Self::with(source, "")
    }

    /// A camera of this address with more lines of configuration.
    pub fn with(source: &str, lines: &str) -> Self {
        Self::of(&format!(
            "[[camera]]\nid = \"cam\"\nsource = '{source}'\n{lines}\n"
        ))
    }

    /// The camera `cam` of this configuration.
    pub fn of(text: &str) -> Self {
        let config = Config::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let hub = launch::hub(&config).expect("a hub");
        let camera = hub.find("live", "cam").expect("its camera");
        Self { hub, camera }
    }

    /// Begins to watch.
    pub fn watch(&self) -> Viewer {
        Viewer(self.camera.follow(Quality::Main))
    }

    /// Waits until the camera's status is as wanted.
    pub async fn until(&self, wanted: impl Fn(&CameraStatus) -> bool) -> CameraStatus {
        let deadline = Instant::now() + PATIENCE;
        let mut changes = self.hub.changes();
        loop {
            let status = self.camera.status();
            if wanted(&status) {
                return status;
            }
            match timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => panic!("waited in vain; last seen: {status:?}"),
            }
        }
    }

    /// Waits until it fails, and says why.
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
        let deadline = Instant::now() + PATIENCE;
        let frame = timeout_at(deadline, self.0.next()).await;
        frame.expect("a picture in time")
    }

    /// The next frame that is as wanted.
    pub async fn frame_with(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let frame = timeout_at(deadline, self.0.next()).await;
            let frame = frame.expect("such a picture in time");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// The next frame's size.
    pub async fn size(&mut self) -> (u16, u16) {
        let frame = self.frame().await;
        ocelli_media::jpeg::size(&frame.payload()).expect("a JPEG")
    }
}

/// The ffmpegs that this process has started and that still run. Tests run side
/// by side in one process, so a test tells its own by a word on its command line.
pub fn ffmpegs(word: &str) -> Vec<Child> {
    let mut children = ocelli_testkit::children_of(std::process::id());
    children.retain(|child| child.name == "ffmpeg" && child.command.contains(word));
    children
}

/// Waits until `condition` holds, which no event tells of.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What ffmpeg decodes of a JPEG: one grey byte for each of 16 × 16 places.
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
