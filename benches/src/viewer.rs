//! One viewer with minimal cost: it checks each frame and discards it.

use crate::scenario::{NATIVE_BATCH, Sink};
use crate::tally::Tally;
use ocelli_testkit::feed::read_head;
use ocelli_testkit::wire::{self, Header};
use ocelli_testkit::{Result, jpeg, video};
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Timeout that is longer than any response should take, including a camera's first frame.
const TIMEOUT: Duration = Duration::from_secs(15);

impl Sink {
    fn is_native(self) -> bool {
        matches!(self, Self::Native { .. })
    }

    fn is_multipart(self) -> bool {
        matches!(self, Self::Mjpeg | Self::Go2rtc)
    }

    /// The credit that is outstanding in `ocelli.v2`.
    fn credit(self) -> Option<u32> {
        match self {
            Self::V2 { credit } | Self::Native { credit } => Some(credit),
            _ => None,
        }
    }

    fn request(self, address: SocketAddr, camera: usize) -> String {
        let path = match self {
            Self::Floor => format!("/floor/{camera}"),
            Self::Plain | Self::V2 { .. } | Self::Native { .. } => "/ws/cameras".into(),
            Self::Mjpeg => format!("/live/live/cam{camera}/mjpeg"),
            Self::Go2rtc => format!("/api/stream.mjpeg?src=cam{camera}"),
            Self::Jsmpeg => format!("/live/jsmpeg?app=live&room=cam{camera}"),
        };
        let more = match self.credit() {
            Some(_) => "Sec-WebSocket-Protocol: ocelli.v2\r\n",
            None => "",
        };
        match self.is_multipart() {
            true => format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"),
            false => wire::request(address, &path, more),
        }
    }
}

/// A connected viewer of one camera.
pub struct Viewer {
    pub stream: TcpStream,
    pub slow: bool,
    /// Whether a whole frame has arrived yet.
    pub started: bool,
    sink: Sink,
    id: String,
    /// The incomplete message.
    pending: Vec<u8>,
    chunks: Option<Chunks>,
    last: Option<u64>,
    /// Credit of frames that were read, not yet returned.
    owed: u32,
}

impl Viewer {
    /// Connects and sends the request. [`Viewer::open`] reads the response. `camera` counts from 1.
    pub fn ask(
        address: SocketAddr,
        sink: Sink,
        camera: usize,
        receive_buffer: Option<usize>,
    ) -> Result<Self> {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        if let Some(bytes) = receive_buffer {
            // Before connecting, because the window is negotiated then.
            sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
        }
        connect(&socket, &address)?;
        let mut stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(sink.request(address, camera).as_bytes())?;
        Ok(Self {
            stream,
            slow: receive_buffer.is_some(),
            started: false,
            sink,
            id: format!("cam{camera}"),
            pending: Vec::new(),
            chunks: None,
            last: None,
            owed: 0,
        })
    }

    /// Reads the response head, and subscribes if the protocol has a message for it.
    pub fn open(&mut self) -> Result<()> {
        let head = read_head(&mut self.stream)?;
        let wanted = if self.sink.is_multipart() {
            " 200 "
        } else {
            " 101 "
        };
        let status = head.lines().next().unwrap_or_default();
        if !status.contains(wanted) {
            return Err(format!("{} was answered with {status:?}", self.sink.name()).into());
        }
        let head = head.to_ascii_lowercase();
        if self.sink.credit().is_some() && !head.contains("sec-websocket-protocol: ocelli.v2") {
            return Err("the server did not accept ocelli.v2".into());
        }
        if self.sink.is_multipart() && head.contains("transfer-encoding: chunked") {
            self.chunks = Some(Chunks::default());
        }
        let id = &self.id;
        match self.sink {
            Sink::Plain => self.say(&format!(r#"{{"cmd":"subscribe","cameras":["{id}"]}}"#))?,
            Sink::V2 { credit } => {
                self.say(&format!(
                    r#"{{"cmd":"subscribe","cameras":["{id}"],"credit":{credit}}}"#
                ))?;
            }
            Sink::Native { credit } => {
                self.say(&format!(
                    r#"{{"cmd":"subscribe","cameras":["{id}"],"credit":{credit},"codecs":["h264"]}}"#
                ))?;
            }
            Sink::Floor | Sink::Mjpeg | Sink::Go2rtc | Sink::Jsmpeg => {}
        }
        self.stream.set_nonblocking(true)?;
        Ok(())
    }

    /// Reads the available data, or only one `scratch` buffer of it if `once`. Returns the number
    /// of bytes.
    pub fn read(&mut self, scratch: &mut [u8], once: bool, tally: &mut Tally) -> Result<usize> {
        let mut total = 0;
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => {
                    return Err(
                        format!("{} ended the stream of {}", self.sink.name(), self.id).into(),
                    );
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                result => result?,
            };
            total += count;
            self.take(&scratch[..count], tally)?;
            if once || count < scratch.len() {
                break;
            }
        }
        Ok(total)
    }

    fn take(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<()> {
        if self.pending.is_empty() && self.chunks.is_none() {
            let used = self.messages(bytes, tally)?;
            self.pending.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        match &mut self.chunks {
            Some(chunks) => chunks.unwrap(bytes, &mut pending)?,
            None => pending.extend_from_slice(bytes),
        }
        let used = self.messages(&pending, tally)?;
        pending.drain(..used);
        self.pending = pending;
        Ok(())
    }

    /// Processes the complete messages at the start of `bytes`. Returns their length.
    fn messages(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<usize> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let length = if self.sink.is_multipart() {
                self.part(rest, tally)?
            } else {
                self.message(rest, tally)?
            };
            match length {
                Some(length) => used += length,
                None => return Ok(used),
            }
        }
    }

    /// Processes one part of a multipart stream, with the boundary before it.
    fn part(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<Option<usize>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length
            .ok_or("a part without Content-Length")?
            .trim()
            .parse()?;
        if !head.trim_start().starts_with("--frame") && self.started {
            return Err(format!("no boundary before a part: {head:?}").into());
        }
        let begin = end + 4;
        let Some(jpeg) = bytes.get(begin..begin + length) else {
            return Ok(None);
        };
        self.frame(jpeg, None, tally)?;
        Ok(Some(begin + length))
    }

    /// Processes one WebSocket message.
    fn message(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<Option<usize>> {
        let Some(header) = Header::parse(bytes) else {
            return Ok(None);
        };
        let length = usize::try_from(header.length)?;
        let Some(payload) = bytes[header.size..].get(..length) else {
            return Ok(None);
        };
        match header.first {
            0x82 => self.binary(payload, tally)?,
            0x81 if self.sink.credit().is_some() => {}
            0x89 => self.send(0x8A, payload)?,
            0x8A => {}
            first => {
                let text = String::from_utf8_lossy(payload);
                return Err(format!("an unexpected message, {first:#x}: {text:?}").into());
            }
        }
        Ok(Some(header.size + length))
    }

    fn binary(&mut self, message: &[u8], tally: &mut Tally) -> Result<()> {
        if self.sink == Sink::Jsmpeg {
            return self.video(message, tally);
        }
        let mut received = None;
        let mut rest = message;
        if self.sink.credit().is_some() {
            let (header, plain) = message
                .split_at_checked(28)
                .ok_or("a message without its header")?;
            let codec = if self.sink.is_native() { 2 } else { 1 };
            if header[..3] != [2, 1, codec] {
                let wanted = self.sink.name();
                return Err(format!("not a frame of {wanted}: {:?}", &header[..4]).into());
            }
            if !self.started && header[3] & 1 == 0 {
                return Err("the first frame is not a key frame".into());
            }
            received = Some(u64::from_be_bytes(header[20..28].try_into()?));
            rest = plain;
        }
        let id = rest
            .get(1..1 + usize::from(rest[0]))
            .ok_or("a message without an id")?;
        if id != self.id.as_bytes() {
            return Err(format!(
                "got a frame of {:?} instead of {}",
                String::from_utf8_lossy(id),
                self.id
            )
            .into());
        }
        self.frame(&rest[1 + id.len()..], received, tally)?;
        self.return_credit()
    }

    /// Returns credit for a frame, in batches as browsers do: JPEG all at once when it is used up
    /// (a browser that paints fast, at a short round trip), native video before that.
    fn return_credit(&mut self) -> Result<()> {
        let Some(credit) = self.sink.credit() else {
            return Ok(());
        };
        let batch = match self.sink {
            Sink::Native { .. } => NATIVE_BATCH,
            _ => credit,
        };
        self.owed += 1;
        if self.owed >= batch {
            let owed = std::mem::take(&mut self.owed);
            self.say(&format!(
                r#"{{"cmd":"credit","add":{{"{}":{owed}}}}}"#,
                self.id
            ))?;
        }
        Ok(())
    }

    /// Processes a message of an MPEG-1 stream: its header, or a picture of less than 32 KiB.
    fn video(&mut self, message: &[u8], tally: &mut Tally) -> Result<()> {
        match message {
            [b'j', b's', b'm', b'p', ..] if !self.started => {}
            // The start code of a sequence header or of a picture.
            [0, 0, 1, 0 | 0xB3, ..] => {
                self.started = true;
                tally.picture(message.len());
            }
            _ => return Err("a message does not begin with a picture".into()),
        }
        Ok(())
    }

    /// Processes a complete frame.
    fn frame(&mut self, bytes: &[u8], received: Option<u64>, tally: &mut Tally) -> Result<()> {
        let now = jpeg::now_micros();
        let stamp = jpeg::stamp(bytes).or_else(|| video::stamp(bytes));
        let stamp = stamp.ok_or("a frame differs from the one that was sent")?;
        let skipped = match self.last.replace(stamp.sequence) {
            Some(last) if stamp.sequence <= last => {
                return Err("a frame is older than the previous one".into());
            }
            Some(last) => stamp.sequence - last - 1,
            None => 0,
        };
        self.started = true;
        let sent = now.saturating_sub(stamp.micros);
        let received = received.map(|received| now.saturating_sub(received));
        tally.frame(self.slow, sent, received, skipped);
        Ok(())
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.send(0x81, text.as_bytes())
    }

    fn send(&mut self, first: u8, payload: &[u8]) -> Result<()> {
        self.stream.write_all(&wire::frame(first, payload))?;
        Ok(())
    }
}

/// Decodes HTTP chunked transfer encoding.
#[derive(Default)]
struct Chunks {
    /// Remaining bytes of the chunk, including its line end.
    left: usize,
    line: Vec<u8>,
}

impl Chunks {
    fn unwrap(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                // The chunk's last two bytes are its line end.
                let content = count.min(self.left.saturating_sub(2));
                out.extend_from_slice(&bytes[..content]);
                self.left -= count;
                bytes = &bytes[count..];
                continue;
            }
            self.line.push(bytes[0]);
            bytes = &bytes[1..];
            if self.line.ends_with(b"\r\n") {
                let line = String::from_utf8_lossy(&self.line);
                let size = line.trim().split(';').next().unwrap_or_default();
                self.left = usize::from_str_radix(size, 16)? + 2;
                self.line.clear();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_decoded_at_any_split() {
        let whole = b"5\r\nhello\r\n1;x=y\r\n \r\n00a\r\nworld\r\n123\r\n";
        for size in 1..whole.len() {
            let (mut chunks, mut out) = (Chunks::default(), Vec::new());
            for piece in whole.chunks(size) {
                chunks.unwrap(piece, &mut out).expect("well-formed chunks");
            }
            assert_eq!(out, b"hello world\r\n123", "{size}");
        }
    }
}
