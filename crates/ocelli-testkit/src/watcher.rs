//! A viewer that watches a wall during a test and records whether it stays live.

use crate::Result;
use crate::background::{Background, Shared};
use crate::jpeg;
use crate::link::Link;
use crate::socket::Socket;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// A wall that receives nothing for this long counts as disconnected.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The wait before it connects again.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// What a watcher saw since the last call.
#[derive(Default)]
pub struct Seen {
    /// Frames of all cameras.
    pub frames: u64,
    /// Connections that ended or failed.
    pub breaks: u64,
    /// The greatest age of a picture when it was read, from the stamps of cameras that write
    /// them.
    pub age: Duration,
    /// The longest time without a new picture of a camera, and that camera.
    pub gap: (Duration, String),
}

#[derive(Default)]
struct State {
    seen: Seen,
    last: BTreeMap<String, Instant>,
}

impl State {
    fn record_picture(&mut self, camera: &str) {
        let now = Instant::now();
        self.seen.frames += 1;
        if let Some(last) = self.last.insert(camera.to_owned(), now) {
            self.gap(camera, now - last);
        }
    }

    fn gap(&mut self, camera: &str, gap: Duration) {
        if gap > self.seen.gap.0 {
            self.seen.gap = (gap, camera.to_owned());
        }
    }
}

/// A viewer that reconnects whenever necessary; dropping it ends it.
pub struct Watcher(Background<State>);

impl Watcher {
    /// Watches these cameras (`"a","b"` or `"*"`).
    pub fn start(address: SocketAddr, cameras: &str) -> Self {
        let open = move || Link::connect(address);
        Self::over(open, cameras)
    }

    /// Watches these cameras over connections that `open` makes.
    pub fn over(open: impl Fn() -> io::Result<Link> + Send + 'static, cameras: &str) -> Self {
        let cameras = cameras.to_owned();
        Self::run(move |shared| watch(open()?, &cameras, shared))
    }

    /// Watches the MPEG-1 of one camera; its messages count as pictures of camera `jsmpeg`.
    pub fn jsmpeg(address: SocketAddr, room: &str) -> Self {
        let path = format!("/live/jsmpeg?app=live&room={room}");
        Self::run(move |shared| {
            let mut socket = Socket::open(address, &path, "", TIMEOUT)?;
            // The hub sends the size even if its camera is down.
            socket.message()?;
            while shared.is_running() {
                socket.message()?;
                shared.lock().record_picture("jsmpeg");
            }
            Ok(())
        })
    }

    fn run(once: impl Fn(&Shared<State>) -> Result<()> + Send + 'static) -> Self {
        let failed = |state: &mut State| state.seen.breaks += 1;
        Self(Background::start(once, failed, RETRY_DELAY))
    }

    /// Returns what it saw since the last call. A camera without a new picture counts with the
    /// time that has passed so far.
    pub fn take(&self) -> Seen {
        let mut state = self.0.lock();
        let now = Instant::now();
        let waiting: Vec<_> = state.last.clone().into_iter().collect();
        for (camera, last) in waiting {
            state.gap(&camera, now - last);
        }
        std::mem::take(&mut state.seen)
    }

    /// Returns the cameras with a new picture within this time.
    pub fn live(&self, within: Duration) -> Vec<String> {
        let state = self.0.lock();
        let now = Instant::now();
        let live = state.last.iter().filter(|(_, last)| now - **last < within);
        live.map(|(camera, _)| camera.clone()).collect()
    }

    /// Waits until all of `cameras` are live. Returns how long that took.
    ///
    /// # Errors
    /// Returns an error that names the missing cameras if they are not live within the limit.
    pub fn until_live(&self, cameras: &[&str], limit: Duration) -> Result<Duration> {
        let started = Instant::now();
        loop {
            let live = self.live(Duration::from_millis(900));
            let missing = cameras
                .iter()
                .filter(|camera| !live.iter().any(|one| one == *camera));
            let missing: Vec<_> = missing.collect();
            if missing.is_empty() {
                return Ok(started.elapsed());
            }
            if started.elapsed() > limit {
                return Err(format!("still not live after {limit:?}: {missing:?}").into());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn watch(link: Link, cameras: &str, shared: &Shared<State>) -> Result<()> {
    let mut socket = Socket::wall_over(link, cameras, TIMEOUT)?;
    while shared.is_running() {
        let frame = socket.frame()?;
        let mut state = shared.lock();
        if let Some(stamp) = jpeg::stamp(&frame.picture) {
            let age = Duration::from_micros(jpeg::now_micros().saturating_sub(stamp.micros));
            state.seen.age = state.seen.age.max(age);
        }
        state.record_picture(&frame.camera);
    }
    Ok(())
}
