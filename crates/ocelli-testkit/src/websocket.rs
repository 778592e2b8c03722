//! A raw WebSocket client, for protocol violations that a client library would not commit, and
//! for inspecting the exact frames received.

use crate::wire::{self, Header};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use crate::wire::KEY;

/// The `Sec-WebSocket-Accept` value for the key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const TIMEOUT: Duration = Duration::from_secs(10);

/// The head of an HTTP response.
#[derive(Clone, Debug)]
pub struct Head {
    /// 101, 400 and so on.
    pub status: u16,
    /// In their original order, with names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Returns the value of a header that occurs exactly once.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_str())
    }
}

/// One frame as received or sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether it is the last frame of its message.
    pub fin: bool,
    /// 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// Whether it is masked; a client's frames must be, a server's must not.
    pub masked: bool,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A complete text message from a client.
    pub fn text(text: &str) -> Self {
        Self::client(1, text.as_bytes())
    }

    /// A complete binary message from a client.
    pub fn binary(payload: &[u8]) -> Self {
        Self::client(2, payload)
    }

    /// An unfragmented frame from a client.
    pub fn client(opcode: u8, payload: &[u8]) -> Self {
        Self {
            fin: true,
            opcode,
            masked: true,
            payload: payload.to_vec(),
        }
    }

    /// The code of a close frame; 1005 if it has none. `None` for other frames.
    pub fn close_code(&self) -> Option<u16> {
        if self.opcode != 8 {
            return None;
        }
        let code = self
            .payload
            .first_chunk()
            .map(|code| u16::from_be_bytes(*code));
        Some(code.unwrap_or(1005))
    }
}

/// A connection that can send arbitrary bytes.
pub struct RawSocket {
    stream: TcpStream,
}

impl RawSocket {
    /// Connects without sending anything.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .await
            .expect("the hub accepts connections");
        stream
            .set_nodelay(true)
            .expect("a TCP socket has the option");
        Self { stream }
    }

    /// Opens a WebSocket on this path, with a subprotocol if one is given.
    ///
    /// # Panics
    /// Panics if a browser would not accept the response.
    pub async fn open(address: SocketAddr, path: &str, protocol: Option<&str>) -> Self {
        let mut socket = Self::connect(address).await;
        let offer = protocol.map_or(String::new(), |name| {
            format!("Sec-WebSocket-Protocol: {name}\r\n")
        });
        let request = wire::request(address, path, &offer);
        socket.send_raw(request.as_bytes()).await;
        let head = socket.head().await.expect("an answer to the handshake");
        assert_eq!(head.status, 101, "{head:?}");
        let header = |name| head.get(name).map(str::to_ascii_lowercase);
        assert_eq!(header("upgrade").as_deref(), Some("websocket"), "{head:?}");
        assert_eq!(header("connection").as_deref(), Some("upgrade"), "{head:?}");
        assert_eq!(head.get("sec-websocket-accept"), Some(ACCEPT), "{head:?}");
        assert_eq!(head.get("sec-websocket-protocol"), protocol, "{head:?}");
        assert_eq!(head.get("sec-websocket-extensions"), None, "{head:?}");
        socket
    }

    /// Sends these bytes unchanged. A peer that has disconnected is noticed when reading.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let _ = timeout(TIMEOUT, self.stream.write_all(bytes)).await;
    }

    /// Reads the head of an HTTP response. Returns `None` if the peer disconnects instead.
    pub async fn head(&mut self) -> Option<Head> {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            text.push(timeout(TIMEOUT, self.stream.read_u8()).await.ok()?.ok()?);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lines = text.lines();
        let status = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        Some(Head {
            status,
            headers: headers.collect(),
        })
    }

    /// Reads the body after a head, up to its `Content-Length` or the connection's end.
    pub async fn body(&mut self, head: &Head) -> String {
        let mut body = Vec::new();
        let length = head
            .get("content-length")
            .and_then(|length| length.parse().ok());
        let mut limited = (&mut self.stream).take(length.unwrap_or(1 << 20));
        let _ = timeout(TIMEOUT, limited.read_to_end(&mut body)).await;
        String::from_utf8_lossy(&body).into_owned()
    }

    /// Sends a frame, which may violate the protocol.
    pub async fn send(&mut self, frame: &Frame) {
        let mut bytes = vec![u8::from(frame.fin) << 7 | frame.opcode];
        let mask_bit = u8::from(frame.masked) << 7;
        match frame.payload.len() {
            length @ 0..126 => bytes.push(mask_bit | length as u8),
            length @ 126..65_536 => {
                bytes.push(mask_bit | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(mask_bit | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        let mask: [u8; 4] = if frame.masked {
            [0x4F, 0x63, 0x65, 0x6C]
        } else {
            [0; 4]
        };
        if frame.masked {
            bytes.extend(mask);
        }
        bytes.extend(
            frame
                .payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        self.send_raw(&bytes).await;
    }

    /// Sends a text message.
    pub async fn send_text(&mut self, text: &str) {
        self.send(&Frame::text(text)).await;
    }

    /// Returns the next frame, or `None` if no frame begins within this time.
    ///
    /// # Errors
    /// Returns an error if the connection ends.
    pub async fn next(&mut self, limit: Duration) -> io::Result<Option<Frame>> {
        // Not `readable`, which can still be true for bytes that were already read.
        match timeout(limit, self.stream.peek(&mut [0])).await {
            Ok(started) => started.map(drop)?,
            Err(_) => return Ok(None),
        }
        let whole = timeout(TIMEOUT, self.frame()).await;
        whole
            .map_err(|_| io::Error::other("timed out in the middle of a frame"))?
            .map(Some)
    }

    async fn frame(&mut self) -> io::Result<Frame> {
        let mut head = Vec::new();
        let header = loop {
            head.push(self.stream.read_u8().await?);
            if let Some(header) = Header::parse(&head) {
                break header;
            }
        };
        let mut payload = Vec::new();
        (&mut self.stream)
            .take(header.length)
            .read_to_end(&mut payload)
            .await?;
        if payload.len() as u64 != header.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        header.unmask(&mut payload);
        Ok(Frame {
            fin: header.first & 0x80 != 0,
            opcode: header.opcode(),
            masked: header.mask.is_some(),
            payload,
        })
    }

    /// Returns the next binary message and skips others. Returns `None` on timeout or if the
    /// connection ends.
    pub async fn binary(&mut self, limit: Duration) -> Option<Vec<u8>> {
        self.message(2, limit).await
    }

    /// Returns the next text message and skips others. Returns `None` on timeout or if the
    /// connection ends.
    pub async fn text(&mut self, limit: Duration) -> Option<String> {
        let text = self.message(1, limit).await?;
        Some(String::from_utf8(text).expect("a text message is UTF-8"))
    }

    async fn message(&mut self, opcode: u8, limit: Duration) -> Option<Vec<u8>> {
        let search = async {
            loop {
                let frame = self.next(limit).await.ok()??;
                if frame.opcode == opcode {
                    return Some(frame.payload);
                }
            }
        };
        timeout(limit, search).await.ok()?
    }

    /// Returns the peer's close code and skips other frames. Returns `None` on timeout or if the
    /// connection ends without a close frame.
    pub async fn close_code(&mut self, limit: Duration) -> Option<u16> {
        let payload = self.message(8, limit).await?;
        Frame::client(8, &payload).close_code()
    }
}

/// A parsed message of `ocelli.v2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V2 {
    /// 1 frame, 3 samples, 4 sound.
    pub kind: u8,
    /// 1 JPEG, 2 H.264, 3 H.265, 4 MPEG-1, 16 AAC, 17 Opus, 18 A-law, 19 µ-law.
    pub codec: u8,
    /// Bit 0: key frame. Bit 1: discontinuity.
    pub flags: u8,
    /// The group number.
    pub group: u32,
    /// The frame's number in its stream.
    pub sequence: u32,
    /// µs since the Unix epoch, 0 if unknown.
    pub captured: u64,
    /// µs since the Unix epoch.
    pub received: u64,
    /// The camera.
    pub id: String,
    /// A JPEG, for codec 1.
    pub payload: Vec<u8>,
}

impl V2 {
    /// Returns `None` if the message has another version or is too short.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (header, plain) = message.split_at_checked(28)?;
        if header[0] != 2 {
            return None;
        }
        let (id, payload) = plain_message(plain)?;
        Some(Self {
            kind: header[1],
            codec: header[2],
            flags: header[3],
            group: u32::from_be_bytes(header[4..8].try_into().ok()?),
            sequence: u32::from_be_bytes(header[8..12].try_into().ok()?),
            captured: u64::from_be_bytes(header[12..20].try_into().ok()?),
            received: u64::from_be_bytes(header[20..28].try_into().ok()?),
            id,
            payload: payload.to_vec(),
        })
    }
}

/// Returns the id and the JPEG of a plain wall message, or `None` if it is too short or its id is
/// not UTF-8.
pub fn plain_message(message: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = message.split_first()?;
    let (id, jpeg) = rest.split_at_checked(usize::from(*length))?;
    Some((String::from_utf8(id.to_vec()).ok()?, jpeg))
}
