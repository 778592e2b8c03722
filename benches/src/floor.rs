//! The floor: a bare loop in one thread, with one `writev` of (header, shared payload) per frame and
//! viewer. A hub that sends the same frames over the same sockets can't be cheaper. The loop does
//! nothing else: no ingest, no subscriptions, no second thread.

use ocelli_testkit::Result;
use ocelli_testkit::feed::{Feed, Stamped, read_head};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{ErrorKind, IoSlice, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

/// Waits for `viewers` viewers, then sends until they disconnect. They request `/floor/N` and get
/// what a plain wall socket would send for `camN`.
pub fn run(feed: Feed, viewers: usize) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut watching: Vec<Vec<TcpStream>> = (0..feed.cameras).map(|_| Vec::new()).collect();
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
        watching[(number - 1) % feed.cameras].push(stream);
    }
    let headers: Vec<Vec<u8>> = (1..=feed.cameras)
        .map(|number| header(number, &feed))
        .collect();
    // Each camera has a separate buffer, as in the hub, so they share no cache line.
    let mut pictures: Vec<_> = (0..feed.cameras)
        .map(|_| Stamped::new(&feed.picture, b"", b""))
        .collect();
    let started = Instant::now();
    for tick in 0.. {
        thread::sleep(feed.due(tick).saturating_sub(started.elapsed()));
        let camera = (tick % feed.cameras as u64) as usize;
        let payload = pictures[camera].now(tick / feed.cameras as u64);
        for stream in &mut watching[camera] {
            if write(stream, &headers[camera], payload).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Returns the WebSocket frame header and the camera's id.
fn header(number: usize, feed: &Feed) -> Vec<u8> {
    let id = format!("cam{number}");
    let length = 1 + id.len() + feed.picture.bytes;
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
