//! Cameras that feed a hub at a steady rate: multipart MJPEG over HTTP, all from one thread.
//! Each picture is stamped when it is sent.

use crate::Result;
use crate::jpeg::{Picture, now_micros};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(2);
/// Pictures that are later than this are skipped.
const LATE: Duration = Duration::from_millis(200);

/// What the cameras send, and at which rate.
#[derive(Clone, Copy)]
pub struct Feed {
    /// The number of cameras.
    pub cameras: usize,
    /// Frame rate of each camera, in pictures per second.
    pub fps: u32,
    /// The picture they send.
    pub picture: Picture,
}

impl Feed {
    /// Returns when picture number `tick`, counted over all cameras, is due. The cameras take
    /// turns, spread evenly over the frame interval.
    pub fn due(&self, tick: u64) -> Duration {
        Duration::from_secs_f64(tick as f64 / (f64::from(self.fps) * self.cameras as f64))
    }
}

/// A picture that is stamped again each time it is sent.
pub struct Stamped {
    bytes: Vec<u8>,
    stamp_at: usize,
}

impl Stamped {
    /// Creates the picture, with `before` and `after` around it in the same buffer.
    pub fn new(picture: &Picture, before: &[u8], after: &[u8]) -> Self {
        let bytes = [before, &picture.encode_now(0), after].concat();
        // Start of image, the comment's marker and length, and the 8-byte magic.
        let stamp_at = before.len() + 2 + 4 + 8;
        Self { bytes, stamp_at }
    }

    /// Returns the bytes, stamped with the current time.
    pub fn now(&mut self, sequence: u64) -> &[u8] {
        let (micros, number) = self.bytes[self.stamp_at..self.stamp_at + 16].split_at_mut(8);
        micros.copy_from_slice(&now_micros().to_be_bytes());
        number.copy_from_slice(&sequence.to_be_bytes());
        &self.bytes
    }
}

/// Running cameras; dropping them stops them.
pub struct Cameras {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cameras {
    /// Starts the cameras on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Returns an error if no port can be bound.
    pub fn start(feed: Feed) -> Result<Self> {
        Self::start_at(feed, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts the cameras at a given address, for example that of cameras that were stopped.
    ///
    /// # Errors
    /// Returns an error if the address is in use.
    pub fn start_at(feed: Feed, address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let ending = Arc::new(AtomicBool::new(false));
        let end = ending.clone();
        let thread = thread::spawn(move || send(feed, &listener, &end));
        Ok(Self {
            address,
            ending,
            thread: Some(thread),
        })
    }

    /// The address the cameras listen on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the sources to pass to `ocelli serve`.
    pub fn sources(&self, count: usize) -> Vec<String> {
        let source = |number| format!("cam{number}=http://{}/cam/{number}", self.address);
        (1..=count).map(source).collect()
    }
}

impl Drop for Cameras {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn send(feed: Feed, listener: &TcpListener, end: &AtomicBool) {
    let mut streams: Vec<Vec<TcpStream>> = (0..feed.cameras).map(|_| Vec::new()).collect();
    let before = format!(
        "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        feed.picture.bytes
    );
    let mut part = Stamped::new(&feed.picture, before.as_bytes(), b"\r\n");
    let mut started = Instant::now();
    for tick in 0.. {
        if end.load(Ordering::Relaxed) {
            return;
        }
        let due = started + feed.due(tick);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // A camera does not catch up on pictures that it could not send in time.
        let late = due.elapsed();
        if late > LATE {
            started += late;
        }
        while let Ok((stream, _)) = listener.accept() {
            if let Some((camera, stream)) =
                answer(stream).filter(|(camera, _)| *camera < feed.cameras)
            {
                streams[camera].push(stream);
            }
        }
        let camera = (tick % feed.cameras as u64) as usize;
        if !streams[camera].is_empty() {
            let bytes = part.now(tick / feed.cameras as u64);
            streams[camera].retain_mut(|stream| stream.write_all(bytes).is_ok());
        }
    }
}

/// Reads the request for `/cam/N` and sends the response head.
fn answer(mut stream: TcpStream) -> Option<(usize, TcpStream)> {
    stream.set_nonblocking(false).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    let head = read_head(&mut stream).ok()?;
    let path = head.split_whitespace().nth(1)?;
    let number: usize = path.rsplit('/').next()?.parse().ok()?;
    stream
        .write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n",
        )
        .ok()?;
    Some((number.checked_sub(1)?, stream))
}

/// Reads a message head up to and including the empty line, and no further.
///
/// # Errors
/// Returns an error if the connection ends first, or if the head is longer than 16 KiB.
pub fn read_head(stream: &mut impl Read) -> Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 || head.len() > 16_384 {
            return Err(format!("no HTTP head: {:?}", String::from_utf8_lossy(&head)).into());
        }
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
