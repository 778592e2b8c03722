//! A camera whose bytes the test writes, and a hub that watches it.

use ocelli_config::Section;
use ocelli_core::{Camera, CameraStatus, Follower, Hub, Quality, Renditions};
use ocelli_media::sources::{self, Address};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long a test waits for an expected event.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The camera's side.
pub struct Script {
    listener: TcpListener,
}

impl Script {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { listener }
    }

    /// Returns the camera's address with this scheme, credentials and path.
    pub fn url(&self, scheme: &str, user: &str, path: &str) -> String {
        let address = self.listener.local_addr().expect("an address");
        format!("{scheme}://{user}{address}{path}")
    }

    /// Accepts a connection.
    pub async fn accept(&self) -> Peer {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = accepted.expect("a connection in time").expect("accepted");
        stream.set_nodelay(true).expect("a socket");
        Peer { stream }
    }

    /// Accepts a connection, reads the request and answers.
    pub async fn answer(&self, answer: &[u8]) -> (Peer, String) {
        let mut peer = self.accept().await;
        let request = peer.request().await.expect("a request");
        peer.send(answer).await;
        (peer, request)
    }
}

/// A connection of the hub to the camera.
pub struct Peer {
    pub stream: TcpStream,
}

impl Peer {
    /// Reads a request, or returns `None` if the hub has closed the connection.
    pub async fn request(&mut self) -> Option<String> {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, self.stream.read_u8()).await;
            match byte.expect("a request in time") {
                Ok(byte) => read.push(byte),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
                Err(_) => return None,
            }
        }
        Some(String::from_utf8_lossy(&read).into_owned())
    }

    /// Sends bytes. The hub may have closed the connection.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }
}

/// The hub's side: a hub with one camera, and a viewer.
pub struct Watch {
    hub: Arc<Hub>,
    camera: Arc<Camera>,
    viewer: Follower,
    /// Number of the last picture.
    last: Option<u32>,
}

impl Watch {
    /// Watches a source with additional lines of configuration.
    pub fn new(url: &str, lines: &str) -> Self {
        let table = toml::de::DeTable::parse(lines).expect("TOML");
        let mut options = Section::new(table.get_ref(), "a test");
        let (kind, source) = sources::open(Address::new(url), &mut options).expect("a source");
        let hub = Arc::new(Hub::default());
        let id = hub.resolve("live", "cam").expect("a name");
        let upstream = hub.upstream(&id, source, Renditions::default());
        let camera = Camera::new(id, String::new(), kind, upstream, None, false);
        let camera = hub.add(camera).expect("a free room");
        let viewer = camera.follow(Quality::Main);
        Self {
            hub,
            camera,
            viewer,
            last: None,
        }
    }

    /// Expects that the next picture is this one, and that none was published in between.
    pub async fn shows(&mut self, picture: &[u8], what: &str) {
        let frame = timeout(PATIENCE, self.viewer.next()).await;
        let Ok(frame) = frame else {
            panic!("{what}: no picture; {:?}", self.camera.status());
        };
        let payload = frame.payload();
        let (len, expected) = (payload.len(), picture.len());
        assert!(payload == picture, "{what}: {len} bytes, not {expected}");
        if let Some(last) = self.last {
            assert_eq!(
                frame.sequence,
                last.wrapping_add(1),
                "{what}: pictures in between"
            );
        }
        self.last = Some(frame.sequence);
    }

    /// Expects any picture.
    pub async fn shows_any(&mut self, what: &str) {
        let frame = timeout(PATIENCE, self.viewer.next()).await;
        assert!(frame.is_ok(), "{what}: {:?}", self.camera.status());
    }

    /// Waits until `wanted` accepts the status.
    pub async fn until(&self, what: &str, wanted: impl Fn(&CameraStatus) -> bool) -> CameraStatus {
        let mut changes = self.hub.changes();
        loop {
            let status = self.camera.status();
            if wanted(&status) {
                return status;
            }
            let changed = timeout(PATIENCE, changes.changed()).await;
            assert!(matches!(changed, Ok(Ok(()))), "{what}: {status:?}");
        }
    }

    /// Waits for a failure, and returns its reason.
    pub async fn failure(&self) -> String {
        let status = self
            .until("a failure", |status| status.last_failure.is_some())
            .await;
        status
            .last_failure
            .map(|last| last.reason)
            .unwrap_or_default()
    }

    /// Returns the number of attempts after the first.
    pub fn restarts(&self) -> u32 {
        self.camera.status().restarts as u32
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub.stop();
    }
}
