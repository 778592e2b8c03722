//! Films made by ffmpeg, decoding by ffmpeg, and a hub that publishes a camera's own pictures.

use ocelli_config::Section;
use ocelli_core::{
    Camera, Follower, Frame, Hub, Publisher, Quality, Rendition, Renditions, RunOnce,
};
use ocelli_media::sources::{self, Address};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a test waits for an expected event.
const PATIENCE: Duration = Duration::from_secs(25);

/// A directory that is removed with its content.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("ocelli-native-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Returns the path of a film of 320 × 180 pixels that ffmpeg makes here.
    pub fn film(&self, name: &str, arguments: &str) -> String {
        let path = self.0.join(name);
        let made = Command::new("ffmpeg")
            .args("-v error -y -f lavfi -i testsrc2=size=320x180:rate=20".split(' '))
            .args("-threads 1 -pix_fmt yuv420p -t 1".split(' '))
            .args(arguments.split_whitespace())
            .arg(&path)
            .status();
        assert!(made.unwrap().success(), "{arguments}");
        path.display().to_string()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs ffmpeg with this input and returns its output.
pub fn ffmpeg(arguments: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-threads", "1"])
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // A decoder that has enough stops reading.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    output.stdout
}

/// Returns the checksum of each picture in an elementary stream (`h264` or `hevc`), or in a file.
pub fn checksums(format: &str, stream: &[u8]) -> Vec<String> {
    sums(&format!("-f {format} -i pipe:0"), stream)
}

/// Returns the checksum of each picture in a file.
pub fn file_checksums(path: &str) -> Vec<String> {
    sums(&format!("-i {path}"), &[])
}

fn sums(input: &str, stream: &[u8]) -> Vec<String> {
    let arguments = format!("{input} -an -fps_mode passthrough -f framemd5 pipe:1");
    let text = String::from_utf8(ffmpeg(&arguments, stream)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sums = lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned());
    sums.collect()
}

/// Takes the place of the JPEG rendition, and passes on what it gets.
struct Tap(mpsc::UnboundedSender<Frame>);

impl Rendition for Tap {
    fn run_once(self: Arc<Self>, mut input: Follower, _publisher: Publisher) -> RunOnce {
        Box::pin(async move {
            loop {
                let _ = self.0.send(input.next().await);
            }
        })
    }
}

/// A hub with one camera, whose own pictures are watched.
pub struct Native {
    hub: Arc<Hub>,
    pub camera: Arc<Camera>,
    frames: mpsc::UnboundedReceiver<Frame>,
    viewer: Follower,
}

impl Native {
    /// Watches the camera with this address.
    pub fn watch(address: &str) -> Self {
        Self::watch_with(address, "")
    }

    /// Watches the camera with this address and additional lines of configuration.
    pub fn watch_with(address: &str, lines: &str) -> Self {
        let table = toml::de::DeTable::parse(lines).expect("TOML");
        let mut options = Section::new(table.get_ref(), "a test");
        let (kind, source) = sources::open(Address::new(address), &mut options).unwrap();
        let (sender, frames) = mpsc::unbounded_channel();
        let renditions = Renditions {
            jpeg: Some(Arc::new(Tap(sender))),
            mpeg1: None,
        };
        let hub = Arc::new(Hub::default());
        let id = hub.resolve("live", "cam").expect("a name");
        let upstream = hub.upstream(&id, source, renditions);
        let camera = Camera::new(id, String::new(), kind, upstream, None, false);
        let camera = hub.add(camera).expect("a free room");
        let viewer = camera.follow(Quality::Main);
        Self {
            hub,
            camera,
            frames,
            viewer,
        }
    }

    /// Returns the changes of the camera's state.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.hub.changes()
    }

    /// Returns the newest picture, as a viewer gets it.
    pub async fn viewed(&mut self) -> Frame {
        let frame = timeout(PATIENCE, self.viewer.next()).await;
        frame.unwrap_or_else(|_| panic!("no picture: {:?}", self.camera.status()))
    }

    /// Returns the next picture.
    pub async fn frame(&mut self) -> Frame {
        let frame = timeout(PATIENCE, self.frames.recv()).await;
        match frame {
            Ok(Some(frame)) => frame,
            _ => panic!("no picture: {:?}", self.camera.status()),
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        self.hub.stop();
    }
}
