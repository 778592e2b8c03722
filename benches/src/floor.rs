//! The floor: a bare loop in one thread, with one `writev` of (header, shared payload) per frame and
//! viewer. A hub that sends the same frames over the same sockets can't be cheaper. The loop does
//! nothing else: no ingest, no subscriptions, no second thread.

use ocelli_testkit::Result;
use ocelli_testkit::feed::{Feed, Stamped, read_head};
use ocelli_testkit::video::{StampedUnit, units};
use ocelli_testkit::video_feed::{due, unit_index};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs;
use std::io::{ErrorKind, IoSlice, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Instant;

/// What the cameras send.
trait Pictures {
    /// Returns what a camera, counted from 0, sends in its turn `round`, stamped with the time.
    fn next(&mut self, camera: usize, round: u64) -> &[u8];
}

/// Each camera has a separate buffer, as in the hub, so they share no cache line.
impl Pictures for Vec<Stamped> {
    fn next(&mut self, camera: usize, round: u64) -> &[u8] {
        self[camera].now(round)
    }
}

/// Access units of a recording, in the same order as the cameras of the hub send them.
struct Units {
    cameras: usize,
    units: Vec<StampedUnit>,
}

impl Pictures for Units {
    fn next(&mut self, camera: usize, round: u64) -> &[u8] {
        let index = unit_index(camera, self.cameras, round, self.units.len());
        self.units[index].now(round)
    }
}

/// Sends JPEGs to this number of viewers.
pub fn run(feed: Feed, viewers: usize) -> Result<()> {
    let pictures = (0..feed.cameras).map(|_| Stamped::new(&feed.picture, b"", b""));
    serve(
        feed.cameras,
        viewers,
        feed.fps,
        pictures.collect::<Vec<_>>(),
    )
}

/// Sends a recording to this number of viewers.
pub fn run_video(cameras: usize, viewers: usize, fps: u32, file: &Path) -> Result<()> {
    let units: Vec<_> = units(&fs::read(file)?)
        .iter()
        .map(StampedUnit::new)
        .collect();
    if units.is_empty() {
        return Err("the recording is empty".into());
    }
    serve(cameras, viewers, fps, Units { cameras, units })
}

/// Waits for `viewers` viewers, then sends until they disconnect. They request `/floor/N` and get
/// what a plain wall socket would send for `camN`.
fn serve(cameras: usize, viewers: usize, fps: u32, mut pictures: impl Pictures) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut watching: Vec<Vec<TcpStream>> = (0..cameras).map(|_| Vec::new()).collect();
    for _ in 0..viewers {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let head = read_head(&mut stream)?;
        let number = head
            .split_whitespace()
            .nth(1)
            .and_then(|path| path.rsplit('/').next());
        let number: usize = number
            .ok_or("the request's path has no camera number")?
            .parse()?;
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")?;
        stream.set_nonblocking(true)?;
        watching[(number - 1) % cameras].push(stream);
    }
    // The header of each camera's last frame, and the length of that frame.
    let mut headers = vec![(0, Vec::new()); cameras];
    let started = Instant::now();
    for tick in 0.. {
        thread::sleep(due(tick, fps, cameras).saturating_sub(started.elapsed()));
        let camera = (tick % cameras as u64) as usize;
        let payload = pictures.next(camera, tick / cameras as u64);
        let (length, head) = &mut headers[camera];
        if *length != payload.len() {
            *length = payload.len();
            *head = header(camera + 1, payload.len());
        }
        for stream in &mut watching[camera] {
            if write(stream, head, payload).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Returns the WebSocket frame header and the camera's id.
fn header(number: usize, payload: usize) -> Vec<u8> {
    let id = format!("cam{number}");
    let length = 1 + id.len() + payload;
    let mut header = vec![0x82];
    match u16::try_from(length) {
        Ok(short) => {
            header.push(126);
            header.extend(short.to_be_bytes());
        }
        Err(_) => {
            header.push(127);
            header.extend((length as u64).to_be_bytes());
        }
    }
    header.push(id.len() as u8);
    header.extend(id.as_bytes());
    header
}

/// Writes with one `writev`, and more only if the socket did not accept all of it. A viewer whose
/// socket accepts nothing misses the frame.
fn write(stream: &mut TcpStream, header: &[u8], payload: &[u8]) -> Result<()> {
    let mut written = match stream.write_vectored(&[IoSlice::new(header), IoSlice::new(payload)]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
        result => result?,
    };
    while written < header.len() + payload.len() {
        poll(&mut [PollFd::new(&*stream, PollFlags::OUT)], None)?;
        let rest = written.saturating_sub(header.len());
        let header = &header[written.min(header.len())..];
        match stream.write_vectored(&[IoSlice::new(header), IoSlice::new(&payload[rest..])]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            result => written += result?,
        }
    }
    Ok(())
}
