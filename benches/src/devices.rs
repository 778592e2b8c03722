//! Devices that push at QVGA and 8 fps, with a few viewers: the cost of the hub and of the load.

use crate::load::Load;
use crate::runs::Times;
use crate::scenario::Sink;
use crate::server::{self, Programs};
use crate::tally::Spread;
use ocelli_testkit::feed::{Feed, Stamped, read_head};
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::{Hub, Result, cpu_time, wire};
use rustix::net::{RecvFlags, recv};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Numbers of devices. The first is from the plans of other projects; the second is the target.
pub const DEVICES: [usize; 3] = [615, 2500, 4000];
pub const VIEWERS: usize = 50;
const FPS: u32 = 8;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Token of the benchmark's own hub, which listens on loopback and runs only for the benchmark.
const TOKEN: &str = "sk_token-of-the-device-benchmark";

/// The results of a run.
#[derive(Clone, Copy)]
pub struct DevicesSample {
    pub devices: usize,
    /// CPU of the hub, as a share of one core.
    pub hub: f64,
    /// CPU of the devices and viewers, as a share of one core.
    pub load: f64,
    /// CPU of the hub in µs per received frame.
    pub cpu: f64,
    /// Share of the sent frames that the hub received.
    pub received_frames: f64,
    /// Devices that lost their connection.
    pub lost: u64,
    /// Latency from the hub's receipt to the viewer.
    pub received: Spread,
    /// Memory of the hub per device, in bytes.
    pub memory: f64,
    /// Duration of a reconnect storm, in which all devices connect again at once while the hub still
    /// holds their old connections: the time until it has a picture of each over the new one.
    pub reconnect_time: Duration,
}

/// Measures this many devices that push to a hub.
pub fn measure(count: usize, programs: &Programs, times: Times) -> Result<DevicesSample> {
    let hub = server::hub(programs, |hub| hub.env("OCELLI_ADMIN_TOKEN", TOKEN))?;
    let keys = create_keys(hub.addr(), count)?;
    let before = hub.resident_bytes();
    let devices = Devices::start(hub.addr(), &keys)?;
    let mut load = Load::new()?;
    load.add(
        hub.addr(),
        Sink::V2 { credit: 2 },
        VIEWERS,
        VIEWERS.min(count),
    )?;
    load.until_started(TIMEOUT)?;
    load.read_for(times.warm_up)?;
    load.tally.counting = true;
    let (sent, received_frames) = (devices.sent(), received_frames(&hub)?);
    let (started, own) = (Instant::now(), cpu_time(std::process::id()));
    let served = hub.cpu_time();
    load.read_for(times.counted)?;
    let seconds = started.elapsed().as_secs_f64();
    let served = hub.cpu_time().saturating_sub(served).as_secs_f64();
    let own = cpu_time(std::process::id())
        .saturating_sub(own)
        .as_secs_f64();
    let sent = devices.sent() - sent;
    let memory = hub.resident_bytes().saturating_sub(before);
    let received_frames = self::received_frames(&hub)? - received_frames;
    let lost = devices.lost();
    let received = Spread::of(&mut load.tally.received).ok_or("no frame was delivered")?;
    drop(load);
    let reconnect_time = reconnect_all(&hub, &keys, devices)?;
    Ok(DevicesSample {
        devices: count,
        hub: served / seconds,
        load: own / seconds,
        cpu: served * 1e6 / sent.max(1) as f64,
        received_frames: received_frames as f64 / sent.max(1) as f64,
        lost,
        reconnect_time,
        received,
        memory: memory as f64 / count as f64,
    })
}

/// Starts a hub and one device that pushes to it as `cam1`.
pub fn one(programs: &Programs) -> Result<(Hub, impl Drop)> {
    let hub = server::hub(programs, |hub| hub.env("OCELLI_ADMIN_TOKEN", TOKEN))?;
    let keys = create_keys(hub.addr(), 1)?;
    let devices = Devices::start(hub.addr(), &keys)?;
    let until = Instant::now() + TIMEOUT;
    while received_frames(&hub)? == 0 {
        if Instant::now() > until {
            return Err("the hub did not accept the device".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok((hub, devices))
}

/// Sends a request on a connection and returns the response body.
fn call(stream: &mut TcpStream, line: &str, body: &str) -> Result<String> {
    let host = stream.peer_addr()?;
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let head = read_head(stream)?.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.ok_or("a response without Content-Length")?.parse()?];
    stream.read_exact(&mut body)?;
    Ok(String::from_utf8(body)?)
}

/// Creates this many keys, for the cameras `cam1`, `cam2` and so on.
fn create_keys(hub: SocketAddr, count: usize) -> Result<Vec<String>> {
    let mut stream = TcpStream::connect(hub)?;
    stream.set_nodelay(true)?;
    let create_keys = |number| {
        let body = format!("{{\"room\":\"cam{number}\"}}");
        let response = call(&mut stream, "POST /api/v1/apps/live/ws-ingest", &body)?;
        let key = response.split("\"streamKey\":\"").nth(1);
        let key = key.and_then(|rest| rest.split('"').next());
        Ok(key.ok_or("the response contains no key")?.to_owned())
    };
    (1..=count).map(create_keys).collect()
}

/// Returns the number of frames that the hub has received from all cameras.
fn received_frames(hub: &Hub) -> Result<u64> {
    let mut stream = TcpStream::connect(hub.addr())?;
    let response = call(&mut stream, "GET /api/v1/cameras", "")?;
    let counts = response.split("\"frames\":").skip(1);
    let counts = counts.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let counts = counts.map(|count| count.unwrap_or_default().parse::<u64>());
    Ok(counts.sum::<std::result::Result<u64, _>>()?)
}

/// Devices that push. They end when dropped.
struct Devices {
    counts: Arc<Counts>,
    thread: Option<JoinHandle<Vec<Option<TcpStream>>>>,
    /// Connections that no longer send.
    silent: Vec<Option<TcpStream>>,
}

#[derive(Default)]
struct Counts {
    ending: AtomicBool,
    sent: AtomicU64,
    lost: AtomicU64,
}

impl Devices {
    /// Connects all devices and begins to push.
    fn start(hub: SocketAddr, keys: &[String]) -> Result<Self> {
        let streams = keys
            .iter()
            .enumerate()
            .map(|(at, key)| connect(hub, at + 1, key));
        let streams = streams
            .map(|stream| stream.map(Some))
            .collect::<Result<Vec<_>>>()?;
        let counts = Arc::<Counts>::default();
        let own = counts.clone();
        Ok(Self {
            counts,
            thread: Some(thread::spawn(move || push(streams, &own))),
            silent: Vec::new(),
        })
    }

    /// Stops sending. The connections stay open.
    fn stop_sending(&mut self) {
        self.counts.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            self.silent = thread.join().unwrap_or_default();
        }
    }

    fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.stop_sending();
    }
}

fn connect(hub: SocketAddr, number: usize, key: &str) -> Result<TcpStream> {
    let stream = open(hub, number, key)?;
    ready(stream)
}

/// Reconnects all devices at once, as after a power cut, and sends a picture from each. The old
/// connections stay open and silent. Returns the time until the hub has all pictures.
fn reconnect_all(hub: &Hub, keys: &[String], mut old: Devices) -> Result<Duration> {
    old.stop_sending();
    let before = received_frames(hub)?;
    let started = Instant::now();
    let opened = keys.iter().enumerate();
    let opened = opened.map(|(at, key)| open(hub.addr(), at + 1, key));
    let opened = opened.collect::<Result<Vec<_>>>()?;
    let mut message = picture();
    let mut live = Vec::new();
    for stream in opened {
        let mut stream = ready(stream)?;
        stream.write_all(message.now(0))?;
        live.push(stream);
    }
    while received_frames(hub)? < before + keys.len() as u64 {
        if started.elapsed() > TIMEOUT {
            return Err(
                "the hub did not get a picture from every device after the reconnect storm".into(),
            );
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(started.elapsed())
}

/// Connects and sends the upgrade request.
fn open(hub: SocketAddr, number: usize, key: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(hub)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let path = format!("/ingest/ws?app=live&room=cam{number}");
    let key = format!("Authorization: Bearer {key}\r\n");
    let request = wire::request(hub, &path, &key);
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

/// Waits for the `ready` message of the hub.
fn ready(mut stream: TcpStream) -> Result<TcpStream> {
    read_head(&mut stream)?;
    let (_, text) = wire::read(&mut stream)?;
    match text.starts_with(br#"{"type":"ready""#) {
        true => Ok(stream),
        false => Err(format!(
            "the hub did not send ready: {}",
            String::from_utf8_lossy(&text)
        )
        .into()),
    }
}

fn push(mut streams: Vec<Option<TcpStream>>, counts: &Counts) -> Vec<Option<TcpStream>> {
    let feed = Feed {
        cameras: streams.len(),
        fps: FPS,
        picture: Picture::QVGA,
    };
    let mut message = picture();
    let started = Instant::now();
    for tick in 0.. {
        if counts.ending.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(feed.due(tick).saturating_sub(started.elapsed()));
        let place = &mut streams[(tick % feed.cameras as u64) as usize];
        let Some(stream) = place else { continue };
        let bytes = message.now(tick / feed.cameras as u64);
        if answer(stream) && stream.write_all(bytes).is_ok() {
            counts.sent.fetch_add(1, Ordering::Relaxed);
        } else {
            counts.lost.fetch_add(1, Ordering::Relaxed);
            *place = None;
        }
    }
    streams
}

/// Creates a message with a picture. A client must mask it; a mask of zeros leaves it unchanged.
fn picture() -> Stamped {
    let [high, low] = (Picture::QVGA.bytes as u16).to_be_bytes();
    Stamped::new(&Picture::QVGA, &[0x82, 0xFE, high, low, 0, 0, 0, 0], b"")
}

/// Answers a ping if one arrived. Returns whether the connection still works.
fn answer(stream: &mut TcpStream) -> bool {
    let mut received = [0; 64];
    match recv(&*stream, &mut received[..], RecvFlags::DONTWAIT) {
        Err(rustix::io::Errno::AGAIN) => true,
        // A healthy connection receives only pings.
        Ok((read, _)) if read > 0 && received[0] == 0x89 => {
            stream.write_all(&[0x8A, 0x80, 0, 0, 0, 0]).is_ok()
        }
        _ => false,
    }
}
