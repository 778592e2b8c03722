//! RTSP cameras that follow a script: exact bytes to the hub, and the requests that came.
//!
//! A [`Script`] is a list of steps for each connection. After the last step the connection
//! stays open, and further requests get a plain response.

use crate::Result;
use crate::link::Link;
use rustls::ServerConfig;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for an expected request.
const PATIENCE: Duration = Duration::from_secs(20);

type Action = Arc<dyn Fn(&mut Dialog) -> Result<()> + Send + Sync>;

#[derive(Clone)]
enum Step {
    Expect(&'static str),
    Reply(String),
    Send(Vec<u8>),
    Datagrams(Vec<Vec<u8>>),
    Run(Action),
    Close,
}

/// What a camera does in each connection.
#[derive(Clone, Default)]
pub struct Script {
    steps: Vec<Step>,
    tls: Option<Arc<ServerConfig>>,
}

impl Script {
    /// Creates a script without steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// Speaks TLS with this configuration.
    #[must_use]
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Does this before all other steps.
    #[must_use]
    pub fn before(
        mut self,
        action: impl Fn(&mut Dialog) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.steps.insert(0, Step::Run(Arc::new(action)));
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Waits for a request with this method. Requests for OPTIONS and for other tracks before it
    /// get a plain response.
    #[must_use]
    pub fn expect(self, method: &'static str) -> Self {
        self.step(Step::Expect(method))
    }

    /// Sends exactly this text, except that `{cseq}` stands for the number of the last request,
    /// `{length}` for the number of bytes after the first empty line, and `{address}` for the
    /// camera's address.
    #[must_use]
    pub fn reply(self, text: impl Into<String>) -> Self {
        self.step(Step::Reply(text.into()))
    }

    /// Waits for a request with this method and sends this text, as in [`Self::reply`].
    #[must_use]
    pub fn answer(self, method: &'static str, text: impl Into<String>) -> Self {
        self.expect(method).reply(text)
    }

    /// Answers DESCRIBE with this session description.
    #[must_use]
    pub fn describe(self, sdp: &str) -> Self {
        let head = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\n";
        let base = "Content-Base: rtsp://{address}/live/\r\nContent-Length: {length}\r\n\r\n";
        self.answer("DESCRIBE", format!("{head}{base}{sdp}"))
    }

    /// Answers SETUP and PLAY as most cameras do.
    #[must_use]
    pub fn play(self) -> Self {
        self.answer(
            "SETUP",
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7;timeout=60\r\n\
             Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
        )
        .answer(
            "PLAY",
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7\r\n\r\n",
        )
    }

    /// Sends these bytes.
    #[must_use]
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Sends these RTP packets on an interleaved channel.
    #[must_use]
    pub fn packets(self, channel: u8, packets: &[Vec<u8>]) -> Self {
        let bytes = packets
            .iter()
            .flat_map(|packet| interleaved(channel, packet));
        self.send(bytes.collect::<Vec<_>>())
    }

    /// Sends these RTP packets over UDP to the port of the last SETUP.
    #[must_use]
    pub fn datagrams(self, packets: Vec<Vec<u8>>) -> Self {
        self.step(Step::Datagrams(packets))
    }

    /// Does anything else.
    #[must_use]
    pub fn run(self, action: impl Fn(&mut Dialog) -> Result<()> + Send + Sync + 'static) -> Self {
        self.step(Step::Run(Arc::new(action)))
    }

    /// Closes the connection.
    #[must_use]
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Starts the camera on 127.0.0.1.
    pub fn start(self) -> ScriptedCamera {
        self.start_at(Ipv4Addr::LOCALHOST)
    }

    /// Starts the camera at this address of the machine.
    ///
    /// # Panics
    /// Panics if no port is free.
    pub fn start_at(self, address: Ipv4Addr) -> ScriptedCamera {
        let listener = TcpListener::bind((address, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let log = Arc::new(Log::default());
        let own = log.clone();
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log) = (self.clone(), own.clone());
                thread::spawn(move || {
                    let link = Link::new(stream).and_then(|link| match &script.tls {
                        Some(config) => link.accept(config),
                        None => Ok(link),
                    });
                    let Ok(link) = link else { return };
                    let mut dialog = Dialog {
                        link,
                        address,
                        request: String::new(),
                        is_peeked: false,
                        log,
                        udp: None,
                    };
                    let _ = dialog.follow(&script.steps);
                });
            }
        });
        ScriptedCamera { address, log }
    }
}

#[derive(Default)]
struct Log {
    requests: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running camera that follows a script.
pub struct ScriptedCamera {
    address: SocketAddr,
    log: Arc<Log>,
}

impl ScriptedCamera {
    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its URL with a user and a password.
    pub fn url(&self) -> String {
        format!("rtsp://viewer:secret@{}/live", self.address)
    }

    /// Returns all requests so far, of all connections.
    pub fn requests(&self) -> Vec<String> {
        self.log.lock().clone()
    }

    /// Waits until `wanted` accepts the requests so far, and returns them. Blocks.
    ///
    /// # Panics
    /// Panics if that takes too long.
    pub fn wait(&self, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        let mut requests = self.log.lock();
        while !wanted(&requests) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the requests so far: {requests:#?}");
            let waited = self.log.changed.wait_timeout(requests, left);
            requests = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        requests.clone()
    }
}

/// One connection, as the camera sees it.
pub struct Dialog {
    link: Link,
    address: SocketAddr,
    request: String,
    /// Whether the last request was only looked at.
    is_peeked: bool,
    log: Arc<Log>,
    /// The socket for packets over UDP, and where they go.
    udp: Option<(UdpSocket, SocketAddr)>,
}

impl Dialog {
    fn follow(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            match step {
                Step::Expect(method) => self.expect(method)?,
                Step::Reply(text) => self.reply(text)?,
                Step::Send(bytes) => self.send(bytes)?,
                Step::Datagrams(packets) => {
                    for packet in packets {
                        self.datagram(packet)?;
                    }
                }
                Step::Run(action) => action(self)?,
                Step::Close => return Ok(()),
            }
        }
        loop {
            self.read()?;
            self.reply("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n")?;
        }
    }

    /// Waits for a request with this method.
    ///
    /// # Errors
    /// The connection ends, or another request comes.
    pub fn expect(&mut self, method: &str) -> Result<()> {
        loop {
            let is_expected = self.read()?.split(' ').next() == Some(method);
            if is_expected {
                return Ok(());
            }
            if self.request.starts_with("SETUP ") {
                // Another track, which is never sent.
                let transport = self.header("Transport").unwrap_or_default().to_owned();
                let head = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7\r\n";
                self.reply(&format!("{head}Transport: {transport}\r\n\r\n"))?;
                continue;
            }
            if !self.request.starts_with("OPTIONS ") {
                return Err(format!("not {method}: {}", self.request).into());
            }
            self.reply("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nPublic: DESCRIBE, SETUP, PLAY\r\n\r\n")?;
        }
    }

    /// Reads and returns the next request, or the next response of the hub.
    ///
    /// # Errors
    /// The connection ends.
    pub fn read(&mut self) -> Result<&str> {
        if std::mem::take(&mut self.is_peeked) {
            return Ok(&self.request);
        }
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            self.link.read_exact(&mut byte)?;
            bytes.push(byte[0]);
            // Reports of another client.
            if bytes == b"$" {
                let mut header = [0; 3];
                self.link.read_exact(&mut header)?;
                let len = usize::from(u16::from_be_bytes([header[1], header[2]]));
                self.link.read_exact(&mut vec![0; len])?;
                bytes.clear();
            }
        }
        self.request = String::from_utf8_lossy(&bytes).into_owned();
        self.log.lock().push(self.request.clone());
        self.log.changed.notify_all();
        Ok(&self.request)
    }

    /// Returns the next request, which [`Self::read`] returns again.
    ///
    /// # Errors
    /// The connection ends.
    pub fn peek(&mut self) -> Result<&str> {
        self.read()?;
        self.is_peeked = true;
        Ok(&self.request)
    }

    /// Returns the value of a header of the last request.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Returns the method and the URI of the last request.
    pub fn method_and_uri(&self) -> (&str, &str) {
        let mut words = self.request.split(' ');
        (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        )
    }

    /// Sends a text, as in [`Script::reply`].
    ///
    /// # Errors
    /// The connection ends.
    pub fn reply(&mut self, text: &str) -> Result<()> {
        let text = text
            .replace("{cseq}", self.header("CSeq").unwrap_or("0"))
            .replace("{address}", &self.address.to_string());
        let head = text.find("RTSP/").unwrap_or(0);
        let body = ["\r\n\r\n", "\n\n"].iter().find_map(|end| {
            let at = head + text[head..].find(end)?;
            Some(text.len() - at - end.len())
        });
        let text = text.replace("{length}", "{len}");
        // The placeholder is in front of the body, so that the body's length stays.
        let text = text.replacen("{len}", &body.unwrap_or(0).to_string(), 1);
        self.send(text.as_bytes())
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The connection ends.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.link.write_all(bytes)?;
        Ok(self.link.flush()?)
    }

    /// Returns the ports of the last SETUP for RTP over UDP.
    pub fn client_ports(&self) -> Option<(u16, u16)> {
        let transport = self.header("Transport")?;
        let (_, ports) = transport.split_once("client_port=")?;
        let (first, second) = ports.split(';').next()?.split_once('-')?;
        Some((first.parse().ok()?, second.parse().ok()?))
    }

    /// Opens the camera's port for RTP over UDP and answers SETUP with it.
    ///
    /// # Errors
    /// The request is not for UDP, or the connection ends.
    pub fn set_up_udp(&mut self) -> Result<()> {
        self.set_up_udp_from(self.address.ip(), false)
    }

    /// Opens a port at this address of the machine for RTP over UDP and answers SETUP with it;
    /// `named` states whether the answer names the address.
    ///
    /// # Errors
    /// The request is not for UDP, or the connection ends.
    pub fn set_up_udp_from(&mut self, source: IpAddr, named: bool) -> Result<()> {
        let (rtp, rtcp) = self.client_ports().ok_or("a request for UDP")?;
        let socket = UdpSocket::bind((source, 0))?;
        let source = match named {
            true => format!(";source={source}"),
            false => String::new(),
        };
        let port = socket.local_addr()?.port();
        let target = SocketAddr::new(self.link.stream().peer_addr()?.ip(), rtp);
        self.udp = Some((socket, target));
        self.reply(&format!(
            "RTSP/1.0 200 OK\r\nCSeq: {{cseq}}\r\nSession: 7;timeout=60\r\n\
             Transport: RTP/AVP;unicast;client_port={rtp}-{rtcp};server_port={port}-{port}{source};ssrc=7\r\n\r\n"
        ))
    }

    /// Answers SETUP with a group, to which the packets are sent.
    ///
    /// # Errors
    /// The request is not for multicast, or the connection ends.
    pub fn set_up_multicast(&mut self, group: Ipv4Addr) -> Result<()> {
        let transport = self.header("Transport").unwrap_or_default();
        if !transport.contains("multicast") {
            return Err("a request for multicast".into());
        }
        // At the camera's own interface.
        let socket = UdpSocket::bind((self.address.ip(), 0))?;
        let port = socket.local_addr()?.port();
        self.udp = Some((socket, SocketAddr::new(group.into(), port)));
        self.reply(&format!(
            "RTSP/1.0 200 OK\r\nCSeq: {{cseq}}\r\nSession: 7;timeout=60\r\n\
             Transport: RTP/AVP;multicast;destination={group};port={port}-{port};ttl=1\r\n\r\n"
        ))
    }

    /// Sends an RTP packet over UDP.
    ///
    /// # Errors
    /// SETUP was not for UDP.
    pub fn datagram(&mut self, packet: &[u8]) -> Result<()> {
        let (socket, target) = self.udp.as_ref().ok_or("SETUP for UDP")?;
        socket.send_to(packet, target)?;
        Ok(())
    }

    /// Sends an RTP packet over UDP from another address of this machine.
    ///
    /// # Errors
    /// SETUP was not for UDP.
    pub fn foreign_datagram(&mut self, from: IpAddr, packet: &[u8]) -> Result<()> {
        let (_, target) = self.udp.as_ref().ok_or("SETUP for UDP")?;
        UdpSocket::bind((from, 0))?.send_to(packet, target)?;
        Ok(())
    }

    /// Waits for a packet of the hub to the camera's UDP port, and returns it.
    ///
    /// # Errors
    /// None comes.
    pub fn received_datagram(&mut self) -> Result<Vec<u8>> {
        let (socket, _) = self.udp.as_ref().ok_or("SETUP for UDP")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut bytes = vec![0; 2000];
        let len = socket.recv(&mut bytes)?;
        bytes.truncate(len);
        Ok(bytes)
    }
}

/// Returns a packet with its interleaved header.
pub fn interleaved(channel: u8, packet: &[u8]) -> Vec<u8> {
    let len = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![b'$', channel];
    bytes.extend(len.to_be_bytes());
    bytes.extend_from_slice(packet);
    bytes
}
