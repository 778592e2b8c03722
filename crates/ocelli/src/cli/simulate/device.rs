//! One simulated device: connects, waits for `ready`, sends pictures at its rate, sends
//! statistics, and reconnects when it was disconnected.

use super::keys::Key;
use super::tally::Tally;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rustls_platform_verifier::BuilderVerifierExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::CancellationToken;
use url::Url;

/// How often a device sends statistics.
const STATS: Duration = Duration::from_secs(30);
/// Time limit for connecting and for sending a frame.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The mean delays before a device reconnects, in ms. Each delay is random, up to half
/// below or above.
const BACKOFF: [u64; 5] = [500, 1000, 2000, 5000, 10_000];
/// With chaos, one frame in this many is replaced by misbehaviour.
const MISBEHAVIOUR_RATE: u64 = 60;
/// The number of frames in a flood.
const FLOOD: usize = 100;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}
type Socket = WebSocketStream<Box<dyn Stream>>;

/// A simulated device.
pub struct Device {
    key: Key,
    fps: f64,
    chaos: bool,
    pictures: Arc<Vec<Bytes>>,
    tally: Arc<Tally>,
    random: Random,
    at: usize,
    started: Instant,
}

/// Pseudo-random numbers, seeded per device.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// How a connection ended.
enum End {
    /// The fleet stops.
    Stopping,
    /// The key is no longer valid.
    Rejected,
    /// The connection failed, or the hub closed it.
    Lost,
}

impl Device {
    /// A device with this key, not connected yet.
    pub fn new(
        number: u64,
        key: Key,
        fps: f64,
        chaos: bool,
        pictures: Arc<Vec<Bytes>>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            key,
            fps,
            chaos,
            at: number as usize % pictures.len().max(1),
            pictures,
            tally,
            random: Random((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            started: Instant::now(),
        }
    }

    /// Pushes until `stopping` is cancelled or the key is no longer valid.
    pub async fn run(mut self, stopping: CancellationToken) {
        // Devices of a fleet do not all start at the same moment.
        let mut wait = Duration::from_millis(self.random.below(1000));
        let mut step = 0;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = sleep(wait) => {}
            }
            let started = Instant::now();
            let opened = tokio::select! {
                () = stopping.cancelled() => return,
                opened = timeout(TIMEOUT, self.open()) => opened,
            };
            match opened {
                Ok(Some(socket)) => match self.push(socket, &stopping).await {
                    End::Stopping | End::Rejected => return,
                    End::Lost => {}
                },
                Ok(None) | Err(_) => self.tally.fail(),
            }
            if started.elapsed() > TIMEOUT {
                step = 0;
            }
            let most = BACKOFF[step.min(BACKOFF.len() - 1)];
            step += 1;
            wait = Duration::from_millis(most / 2 + self.random.below(most));
        }
    }

    async fn open(&self) -> Option<Socket> {
        let url = Url::parse(&self.key.url).ok()?;
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let tcp = TcpStream::connect((bare, port)).await.ok()?;
        tcp.set_nodelay(true).ok()?;
        let stream: Box<dyn Stream> = match url.scheme() {
            "wss" => {
                let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let config = rustls::ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .ok()?
                    .with_platform_verifier()
                    .ok()?
                    .with_no_client_auth();
                let name = rustls::pki_types::ServerName::try_from(bare.to_owned()).ok()?;
                let connector = TlsConnector::from(Arc::new(config));
                Box::new(connector.connect(name, tcp).await.ok()?)
            }
            _ => Box::new(tcp),
        };
        let mut request = self.key.url.as_str().into_client_request().ok()?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.key.secret)).ok()?;
        bearer.set_sensitive(true);
        request.headers_mut().insert("authorization", bearer);
        Some(client_async(request, stream).await.ok()?.0)
    }

    async fn push(&mut self, mut socket: Socket, stopping: &CancellationToken) -> End {
        let mut error_code = String::new();
        let ready = loop {
            let message = tokio::select! {
                () = stopping.cancelled() => return End::Stopping,
                message = timeout(TIMEOUT, socket.next()) => message.ok().flatten(),
            };
            match self.read(message, &mut error_code) {
                Read::Ready(max_fps) => break max_fps,
                Read::Other => {}
                Read::End(end) => return end,
            }
        };
        let tally = self.tally.clone();
        let _connected = tally.connect();
        let pause = Duration::from_secs_f64(1.0 / self.fps.min(ready));
        let phase = pause.mul_f64(self.random.below(1000) as f64 / 1000.0);
        let mut frames = interval_at(Instant::now() + phase, pause);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut stats = interval(STATS);
        let mut due = Instant::now() + phase;
        loop {
            tokio::select! {
                () = stopping.cancelled() => {
                    let _ = timeout(TIMEOUT, socket.close(None)).await;
                    return End::Stopping;
                }
                message = socket.next() => match self.read(message, &mut error_code) {
                    Read::End(end) => return end,
                    Read::Ready(_) | Read::Other => {}
                },
                _ = stats.tick() => {
                    let message = self.stats();
                    if !try_send(&mut socket, Message::text(message)).await {
                        return End::Lost;
                    }
                }
                now = frames.tick() => {
                    let late = now.saturating_duration_since(due);
                    tally.skip((late.as_secs_f64() / pause.as_secs_f64()) as u64);
                    due = now + pause;
                    if self.chaos && self.random.below(MISBEHAVIOUR_RATE) == 0 {
                        match self.misbehave(socket).await {
                            Some(open) => socket = open,
                            None => return End::Lost,
                        }
                    }
                    if !self.send_frame(&mut socket).await {
                        return self.drain(socket, error_code).await;
                    }
                }
            }
        }
    }

    async fn send_frame(&mut self, socket: &mut Socket) -> bool {
        let picture = self.pictures[self.at].clone();
        self.at = (self.at + 1) % self.pictures.len();
        let bytes = picture.len();
        let done = try_send(socket, Message::binary(picture)).await;
        if done {
            self.tally.send(bytes);
        }
        done
    }

    /// Reads the hub's last messages after a failed write.
    async fn drain(&mut self, mut socket: Socket, mut error_code: String) -> End {
        let read = async {
            loop {
                let message = socket.next().await;
                if let Read::End(end) = self.read(message, &mut error_code) {
                    return end;
                }
            }
        };
        timeout(TIMEOUT, read).await.unwrap_or(End::Lost)
    }

    fn stats(&mut self) -> String {
        json!({
            "type": "stats",
            "fps": self.fps,
            "rssi": -50 - self.random.below(30) as i64,
            "heapFree": 40_000 + self.random.below(8000),
            "uptime": self.started.elapsed().as_secs(),
        })
        .to_string()
    }

    /// Does something that a device should not do. Returns the connection to continue with,
    /// if any.
    async fn misbehave(&mut self, mut socket: Socket) -> Option<Socket> {
        match self.random.below(7) {
            // Disconnect without a close frame.
            0 => return None,
            // Connect again while the old connection is open.
            1 => {
                let again = timeout(TIMEOUT, self.open()).await.ok().flatten();
                let mut error_code = String::new();
                let message = timeout(TIMEOUT, async {
                    while let Read::Other = {
                        let message = socket.next().await;
                        self.read(message, &mut error_code)
                    } {}
                });
                let _ = message.await;
                return again;
            }
            2 => {
                for _ in 0..FLOOD {
                    if !self.send_frame(&mut socket).await {
                        return None;
                    }
                }
            }
            3 => {
                try_send(&mut socket, Message::text("{\"type\":\"stats\",\"fps\":")).await;
            }
            4 => {
                let rubbish: Vec<u8> = (0..2000).map(|_| self.random.below(256) as u8).collect();
                try_send(&mut socket, Message::binary(rubbish)).await;
            }
            5 => {
                let cut = self.pictures[self.at].slice(..1000);
                for _ in 0..12 {
                    try_send(&mut socket, Message::binary(cut.clone())).await;
                }
            }
            _ => {
                try_send(&mut socket, Message::binary(vec![0xFF; 20 << 20])).await;
            }
        }
        Some(socket)
    }

    /// Parses a message from the hub.
    fn read(&self, message: Option<Result<Message, Error>>, error_code: &mut String) -> Read {
        match message {
            Some(Ok(Message::Text(text))) => {
                let message: Value = serde_json::from_str(&text).unwrap_or_default();
                match message["type"].as_str() {
                    Some("ready") => Read::Ready(
                        message["maxFps"]
                            .as_f64()
                            .filter(|fps| *fps > 0.0)
                            .unwrap_or(15.0),
                    ),
                    Some("error") => {
                        *error_code = message["code"].as_str().unwrap_or_default().to_owned();
                        Read::Other
                    }
                    _ => Read::Other,
                }
            }
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map_or(1005, |frame| u16::from(frame.code));
                self.tally.close(code, error_code);
                Read::End(if code == 4401 {
                    End::Rejected
                } else {
                    End::Lost
                })
            }
            Some(Ok(_)) => Read::Other,
            Some(Err(_)) | None => Read::End(End::Lost),
        }
    }
}

/// A message from the hub.
enum Read {
    /// The device may send, at most this many frames a second.
    Ready(f64),
    Other,
    End(End),
}

async fn try_send(socket: &mut Socket, message: Message) -> bool {
    let result = timeout(TIMEOUT, socket.send(message)).await;
    result.is_ok_and(|sent| sent.is_ok())
}
