//! A hand-written RTSP camera.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

pub const H264: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";
pub const H265: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n";
pub const JPEG: &str = "m=video 0 RTP/AVP 26\r\n";

/// A hand-written camera that treats every connection in the same way.
pub struct Camera {
    pub address: SocketAddr,
    /// The most bytes that one connection accepted.
    pub most: Arc<AtomicU64>,
}

impl Camera {
    pub fn start(treat: impl Fn(&mut Peer) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let most = Arc::new(AtomicU64::new(0));
        let (treat, own) = (Arc::new(treat), most.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (treat, most) = (treat.clone(), own.clone());
                thread::spawn(move || {
                    let mut peer = Peer {
                        stream,
                        sequence: 0,
                        written: 0,
                    };
                    let _ = treat(&mut peer);
                    most.fetch_max(peer.written, Ordering::Relaxed);
                });
            }
        });
        Self { address, most }
    }
}

/// One connection, as seen by the camera.
pub struct Peer {
    pub stream: TcpStream,
    sequence: u16,
    written: u64,
}

impl Peer {
    pub fn request(&mut self) -> std::io::Result<String> {
        let mut read = Vec::new();
        let mut byte = [0];
        while !read.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte)?;
            read.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&read).into_owned())
    }

    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = self.stream.write(rest)?;
            self.written += len as u64;
            rest = &rest[len..];
        }
        Ok(())
    }

    /// Writes this repeatedly until the hub disconnects.
    pub fn flood(&mut self, piece: &[u8]) -> std::io::Result<()> {
        let many = piece.repeat((65536 / piece.len()).max(1));
        loop {
            self.write(&many)?;
        }
    }

    pub fn answer(&mut self, request: &str, lines: &str, body: &str) -> std::io::Result<()> {
        let sequence = request.lines().find_map(|line| line.strip_prefix("CSeq: "));
        let sequence = sequence.unwrap_or("0");
        let length = body.len();
        let answer = format!(
            "RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
        );
        self.write(answer.as_bytes())
    }

    /// Answers correctly up to the request `last`, which is returned without an answer.
    pub fn until(&mut self, last: &str, media: &str) -> std::io::Result<String> {
        loop {
            let request = self.request()?;
            if request.starts_with(last) {
                return Ok(request);
            }
            self.answer_as_usual(&request, media)?;
        }
    }

    /// Sends the usual response of a camera with this video.
    pub fn answer_as_usual(&mut self, request: &str, media: &str) -> std::io::Result<()> {
        if request.starts_with("DESCRIBE") {
            let sdp = format!("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n{media}");
            self.answer(request, "Content-Type: application/sdp\r\n", &sdp)
        } else if request.starts_with("SETUP") {
            let lines =
                "Session: 7;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
            self.answer(request, lines, "")
        } else {
            self.answer(request, "Session: 7\r\n", "")
        }
    }

    pub fn play(&mut self, media: &str) -> std::io::Result<()> {
        let request = self.until("PLAY", media)?;
        self.answer(&request, "Session: 7\r\n", "")
    }

    /// Returns an interleaved RTP packet of one endless picture.
    pub fn packet(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![b'$', 0];
        packet.extend(((payload.len() + 12) as u16).to_be_bytes());
        packet.extend([0x80, kind]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend([0, 0, 0, 9, 0, 0, 0, 7]);
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    /// Sends a complete JPEG of 320 × 240.
    pub fn picture(&mut self) -> std::io::Result<()> {
        let mut packet = self.packet(26, &[0, 0, 0, 0, 1, 50, 40, 30, 1, 2, 3, 4]);
        packet[5] |= 0x80;
        self.write(&packet)
    }

    /// Sends the first packet once, then the other endlessly.
    pub fn endless(&mut self, kind: u8, first: &[u8], then: &[u8]) -> std::io::Result<()> {
        let first = self.packet(kind, first);
        self.write(&first)?;
        loop {
            let many: Vec<_> = (0..32).flat_map(|_| self.packet(kind, then)).collect();
            self.write(&many)?;
        }
    }
}
