//! RTSP cameras that feed a hub with H.264 at a steady rate, all from one thread: RTP over the
//! RTSP connection. Each access unit is stamped when it is sent.

use crate::Result;
use crate::digest::base64;
use crate::rtsp_media::Rtp;
use crate::rtsp_script::interleaved;
use crate::video::Recording;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(2);
/// Units that are later than this are skipped.
const LATE: Duration = Duration::from_millis(200);
/// The longest payload of a packet.
const PACKET: usize = 1400;
const CLOCK_RATE: u32 = 90_000;
const PAYLOAD_TYPE: u8 = 96;
/// The longest request.
const LONGEST: usize = 16_384;

/// Returns when unit number `tick`, counted over all cameras, is due. The cameras take turns,
/// spread evenly over the frame interval.
pub fn due(tick: u64, fps: u32, cameras: usize) -> Duration {
    Duration::from_secs_f64(tick as f64 / (f64::from(fps) * cameras as f64))
}

/// Returns the index of the unit that camera number `camera` sends in its turn `round`. The cameras
/// begin at different places of the recording, so that their key frames are spread over a group.
pub fn unit_index(camera: usize, cameras: usize, round: u64, units: usize) -> usize {
    ((round + (camera * units / cameras.max(1)) as u64) % units.max(1) as u64) as usize
}

/// Running cameras; dropping them stops them.
pub struct VideoCameras {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl VideoCameras {
    /// Starts cameras that repeat the recording, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Returns an error if no port can be bound.
    pub fn start(cameras: usize, recording: Arc<Recording>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let ending = Arc::new(AtomicBool::new(false));
        let mut server = Server {
            cameras,
            recording,
            listener,
            address,
            clients: Vec::new(),
        };
        let end = ending.clone();
        let thread = thread::spawn(move || server.run(&end));
        Ok(Self {
            address,
            ending,
            thread: Some(thread),
        })
    }

    /// Returns the URL of a camera, counted from 1.
    pub fn url(&self, camera: usize) -> String {
        format!("rtsp://{}/cam/{camera}", self.address)
    }

    /// Returns the sources to pass to `ocelli serve`.
    pub fn sources(&self, count: usize) -> Vec<String> {
        let source = |number| format!("cam{number}={}", self.url(number));
        (1..=count).map(source).collect()
    }
}

impl Drop for VideoCameras {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Server {
    cameras: usize,
    recording: Arc<Recording>,
    listener: TcpListener,
    address: SocketAddr,
    clients: Vec<Client>,
}

/// A connection.
struct Client {
    stream: TcpStream,
    /// The incomplete request.
    pending: Vec<u8>,
    /// The camera, counted from 0, after SETUP.
    camera: Option<usize>,
    is_playing: bool,
    rtp: Rtp,
}

impl Server {
    fn run(&mut self, end: &AtomicBool) {
        let fps = self.recording.video().fps;
        let mut started = Instant::now();
        for tick in 0.. {
            loop {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let due = started + due(tick, fps, self.cameras);
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    // A camera does not catch up on units that it could not send in time.
                    let late = due.elapsed();
                    if late > LATE {
                        started += late;
                    }
                    break;
                }
                self.serve(left);
            }
            let camera = (tick % self.cameras as u64) as usize;
            self.send(camera, tick / self.cameras as u64);
        }
    }

    /// Waits for requests, at most this long, and answers them.
    fn serve(&mut self, limit: Duration) {
        let streams = self.clients.iter().map(|client| &client.stream);
        let mut waiting: Vec<_> = streams
            .map(|stream| PollFd::new(stream, PollFlags::IN))
            .chain([PollFd::new(&self.listener, PollFlags::IN)])
            .collect();
        let limit = Timespec::try_from(limit).ok();
        if !matches!(poll(&mut waiting, limit.as_ref()), Ok(1..)) {
            return;
        }
        let ready: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        let (cameras, address, recording) = (self.cameras, self.address, &self.recording);
        self.clients.retain_mut(|client| {
            !ready.next().unwrap_or_default()
                || client.serve(cameras, address, recording).unwrap_or(false)
        });
        while let Ok((stream, _)) = self.listener.accept() {
            self.clients.extend(Client::new(stream));
        }
    }

    fn send(&mut self, camera: usize, round: u64) {
        let watches = |client: &Client| client.is_playing && client.camera == Some(camera);
        if !self.clients.iter().any(watches) {
            return;
        }
        let units = self.recording.units();
        let unit = &units[unit_index(camera, self.cameras, round, units.len())];
        let nals = unit.stamped(round);
        let ticks = round * u64::from(CLOCK_RATE / self.recording.video().fps);
        self.clients
            .retain_mut(|client| !watches(client) || client.send(&nals, ticks as u32).is_ok());
    }
}

impl Client {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self {
            stream,
            pending: Vec::new(),
            camera: None,
            is_playing: false,
            rtp: Rtp::new(PAYLOAD_TYPE),
        })
    }

    /// Reads what has arrived and answers the complete requests. Returns whether the connection
    /// stays open.
    fn serve(
        &mut self,
        cameras: usize,
        address: SocketAddr,
        recording: &Recording,
    ) -> Result<bool> {
        let mut bytes = [0; 4096];
        let count = self.stream.read(&mut bytes)?;
        self.pending.extend_from_slice(&bytes[..count]);
        while let Some(request) = self.next_request() {
            let response = self.answer(&request, cameras, address, recording);
            self.stream.write_all(response.as_bytes())?;
            if request.starts_with("TEARDOWN ") {
                return Ok(false);
            }
        }
        Ok(count > 0 && self.pending.len() < LONGEST)
    }

    /// Removes the next complete request from what is pending. Reports of the client are skipped.
    fn next_request(&mut self) -> Option<String> {
        loop {
            if let [b'$', _, high, low, ..] = self.pending[..] {
                let end = 4 + usize::from(u16::from_be_bytes([high, low]));
                if self.pending.len() < end {
                    return None;
                }
                self.pending.drain(..end);
                continue;
            }
            if self.pending.first() == Some(&b'$') {
                return None;
            }
            let end = self
                .pending
                .windows(4)
                .position(|four| four == b"\r\n\r\n")?
                + 4;
            let head = String::from_utf8_lossy(&self.pending[..end]).into_owned();
            let length = header(&head, "Content-Length").and_then(|value| value.parse().ok());
            let whole = end + length.unwrap_or(0);
            if self.pending.len() < whole {
                return None;
            }
            self.pending.drain(..whole);
            return Some(head);
        }
    }

    fn answer(
        &mut self,
        request: &str,
        cameras: usize,
        address: SocketAddr,
        recording: &Recording,
    ) -> String {
        let mut words = request.split(' ');
        let method = words.next().unwrap_or_default();
        let path = words.next().and_then(|uri| uri.split_once("/cam/"));
        let number = path.and_then(|(_, rest)| rest.split(['/', '?']).next()?.parse().ok());
        let camera = number.filter(|number| (1..=cameras).contains(number));
        let cseq = header(request, "CSeq").unwrap_or("0");
        let ok = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n");
        let session = "Session: 7;timeout=60\r\n";
        match (method, camera) {
            ("OPTIONS", _) => format!(
                "{ok}Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n\r\n"
            ),
            ("DESCRIBE", Some(number)) => {
                let sdp = describe(recording);
                format!(
                    "{ok}Content-Base: rtsp://{address}/cam/{number}/\r\n\
                     Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                    sdp.len()
                )
            }
            ("SETUP", Some(number)) => {
                let transport = header(request, "Transport").unwrap_or_default();
                if !transport.contains("/TCP") {
                    return format!("RTSP/1.0 461 Unsupported Transport\r\nCSeq: {cseq}\r\n\r\n");
                }
                self.camera = Some(number - 1);
                self.rtp.sender = number as u32;
                format!("{ok}{session}Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n")
            }
            ("PLAY", _) if self.camera.is_some() => {
                self.is_playing = true;
                format!("{ok}{session}Range: npt=0-\r\n\r\n")
            }
            ("GET_PARAMETER" | "TEARDOWN", _) => format!("{ok}{session}\r\n"),
            _ => format!("RTSP/1.0 404 Not Found\r\nCSeq: {cseq}\r\n\r\n"),
        }
    }

    /// Sends an access unit.
    fn send(&mut self, nals: &[Vec<u8>], stamp: u32) -> Result<()> {
        self.rtp.stamp = stamp;
        let mut bytes = Vec::new();
        let last = nals.len().saturating_sub(1);
        for (at, nal) in nals.iter().enumerate() {
            // Only the picture itself is longer than a packet, and it is the last.
            let packets = match nal.len() <= PACKET {
                true => vec![self.rtp.packet(at == last, nal)],
                false => self.rtp.fragments(nal, PACKET),
            };
            for packet in packets {
                bytes.extend(interleaved(0, &packet));
            }
        }
        self.stream.write_all(&bytes)?;
        Ok(())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Returns the session description.
fn describe(recording: &Recording) -> String {
    let first = &recording.units()[0];
    let set = |kind: u8| first.nals.iter().find(|nal| nal[0] & 0x1F == kind);
    let encoded = |kind| set(kind).map_or(String::new(), |nal| base64(nal));
    let profile = set(7).and_then(|nal| nal.get(1..4)).unwrap_or_default();
    let profile: String = profile.iter().map(|byte| format!("{byte:02X}")).collect();
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=load\r\nt=0 0\r\n\
         m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\nc=IN IP4 0.0.0.0\r\n\
         a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK_RATE}\r\n\
         a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;profile-level-id={profile};\
         sprop-parameter-sets={},{}\r\na=control:track1\r\n",
        encoded(7),
        encoded(8)
    )
}
