//! A blocking WebSocket client, for code that watches one connection at a time.

use crate::Result;
use crate::feed::read_head;
use crate::link::Link;
use crate::wire;
use rustix::rand::{GetRandomFlags, getrandom};
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// One connection.
pub struct Socket {
    link: Link,
}

impl Socket {
    /// Connects and requests `path`; `more` contains additional header lines, each with its
    /// line end. If nothing arrives for `time_limit`, this and later calls fail.
    ///
    /// # Errors
    /// Returns an error if the connection or the upgrade fails.
    pub fn open(address: SocketAddr, path: &str, more: &str, time_limit: Duration) -> Result<Self> {
        Self::over(Link::connect(address)?, path, more, time_limit)
    }

    /// Requests `path` over an existing connection.
    ///
    /// # Errors
    /// Returns an error if the upgrade fails.
    pub fn over(mut link: Link, path: &str, more: &str, time_limit: Duration) -> Result<Self> {
        link.set_timeout(time_limit);
        let address = link.stream().peer_addr()?;
        let request = wire::request(address, path, more);
        link.write_all(request.as_bytes())?;
        link.flush()?;
        let head = read_head(&mut link)?;
        let status = head.lines().next().unwrap_or_default();
        if !status.contains(" 101 ") {
            return Err(format!("{path} was answered with {status:?}").into());
        }
        Ok(Self { link })
    }

    /// Opens the wall socket in its `ocelli.v2` form, subscribed to these cameras.
    ///
    /// # Errors
    /// As [`Socket::open`].
    pub fn wall(address: SocketAddr, cameras: &str, time_limit: Duration) -> Result<Self> {
        Self::wall_over(Link::connect(address)?, cameras, time_limit)
    }

    /// The same over an existing connection.
    ///
    /// # Errors
    /// As [`Socket::over`].
    pub fn wall_over(link: Link, cameras: &str, time_limit: Duration) -> Result<Self> {
        let more = "Sec-WebSocket-Protocol: ocelli.v2\r\n";
        let mut socket = Self::over(link, "/ws/cameras", more, time_limit)?;
        socket.text(&format!(r#"{{"cmd":"subscribe","cameras":[{cameras}]}}"#))?;
        Ok(socket)
    }

    /// The underlying connection.
    pub fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// Returns an error if the connection failed or ended.
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.send(0x81, text.as_bytes())
    }

    /// Sends one frame. The mask is all zeros, which leaves the payload unchanged.
    ///
    /// # Errors
    /// Returns an error if the connection failed or ended.
    pub fn send(&mut self, first: u8, payload: &[u8]) -> Result<()> {
        self.raw(&wire::frame(first, payload))
    }

    /// Sends these bytes unchanged.
    ///
    /// # Errors
    /// Returns an error if the connection failed or ended.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.link.write_all(bytes)?;
        Ok(self.link.flush()?)
    }

    /// Returns the next message, and whether it is binary. Pings are answered meanwhile.
    ///
    /// # Errors
    /// Returns an error if the connection failed or ended.
    pub fn message(&mut self) -> Result<(bool, Vec<u8>)> {
        loop {
            let (header, payload) = wire::read(&mut self.link)?;
            match header.opcode() {
                1 => return Ok((false, payload)),
                2 => return Ok((true, payload)),
                8 => {
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    return Err(format!("closed with {code:?}").into());
                }
                9 => self.send(0x8A, &payload)?,
                _ => {}
            }
        }
    }

    /// Returns the next frame in the wall's `ocelli.v2` form: its camera, its capture time in
    /// µs since the epoch, and its picture.
    ///
    /// # Errors
    /// Returns an error if the connection failed or ended.
    pub fn frame(&mut self) -> Result<WallFrame> {
        loop {
            let (binary, message) = self.message()?;
            if !binary {
                continue;
            }
            let length = usize::from(
                *message
                    .get(28)
                    .ok_or("the message is shorter than its header")?,
            );
            let id = message
                .get(29..29 + length)
                .ok_or("the message is shorter than its id")?;
            return Ok(WallFrame {
                camera: String::from_utf8_lossy(id).into_owned(),
                captured: u64::from_be_bytes(message[12..20].try_into()?),
                picture: message[29 + length..].to_vec(),
            });
        }
    }
}

/// A frame of one camera.
pub struct WallFrame {
    /// The camera's id.
    pub camera: String,
    /// Capture time in µs since the epoch; 0 if unknown.
    pub captured: u64,
    /// The JPEG.
    pub picture: Vec<u8>,
}

/// Returns random bytes.
///
/// # Errors
/// Returns an error if the system provides none.
pub fn garbage(length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
}
