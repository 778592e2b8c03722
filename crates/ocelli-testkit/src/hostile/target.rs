//! An attacker's access to the hub: addresses, tokens and calls.

use super::progress::{BEAT, Progress};
use crate::Result;
use crate::feed::read_head;
use crate::link::Link;
use crate::socket::Socket;
use rustls::ClientConfig;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Timeout of an HTTP API call, under attack.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The hub under attack.
pub struct Target {
    /// Its port.
    pub address: SocketAddr,
    /// Its port for samples.
    pub samples: SocketAddr,
    /// The TLS configuration, if the hub uses TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// The same for HTTP/2.
    pub tls_h2: Option<Arc<ClientConfig>>,
    /// A token with all permissions.
    pub admin: &'static str,
    /// A token that may only add and test cameras.
    pub operator: String,
    /// The well-behaved cameras' address; their paths are `/cam/1` and so on.
    pub honest: SocketAddr,
    /// The number of well-behaved cameras; their ids are `cam1` and so on.
    pub cameras: usize,
    next: AtomicU32,
}

impl Target {
    pub(super) fn new(address: SocketAddr, samples: SocketAddr, honest: SocketAddr) -> Self {
        Self {
            address,
            samples,
            tls: None,
            tls_h2: None,
            admin: "",
            operator: String::new(),
            honest,
            cameras: 0,
            next: AtomicU32::new(0),
        }
    }

    /// Returns an address of this machine that no other attacker has used.
    pub fn new_address(&self) -> Ipv4Addr {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let [_, high, middle, low] = (number + 1).to_be_bytes();
        Ipv4Addr::new(127, 64 + high % 64, middle, low)
    }

    /// Connects from this address, with TLS if the hub uses it.
    ///
    /// # Errors
    /// Returns an error if the connection fails.
    pub fn connect(&self, from: Ipv4Addr) -> io::Result<Link> {
        self.encrypted(from, self.tls.as_ref())
    }

    pub(super) fn encrypted(
        &self,
        from: Ipv4Addr,
        config: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Link> {
        let link = Link::connect_from(from, self.address)?;
        match config {
            Some(config) => link.encrypt(config),
            None => Ok(link),
        }
    }

    /// Opens a WebSocket from this address.
    ///
    /// # Errors
    /// Returns an error if the connection or the upgrade fails.
    pub fn socket(&self, from: Ipv4Addr, path: &str, more: &str) -> Result<Socket> {
        Socket::over(self.connect(from)?, path, more, TIMEOUT)
    }

    /// Calls the HTTP API; returns the status and the body.
    ///
    /// # Errors
    /// Returns an error if there is no response.
    pub fn call(
        &self,
        from: Ipv4Addr,
        line: &str,
        token: &str,
        body: &str,
    ) -> Result<(u16, String)> {
        let mut link = self.connect(from)?;
        link.set_timeout(TIMEOUT);
        let mut request = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        );
        if !token.is_empty() {
            request += &format!("Authorization: Bearer {token}\r\n");
        }
        if !body.is_empty() {
            request += "Content-Type: application/json\r\n";
        }
        link.write_all(format!("{request}\r\n{body}").as_bytes())?;
        link.flush()?;
        let head = read_head(&mut link)?;
        let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        let mut body = Vec::new();
        // An end without close_notify does not count as a failure here.
        let _ = link.read_to_end(&mut body);
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Calls the HTTP API as the administrator, and expects success.
    ///
    /// # Errors
    /// Returns an error if the hub refuses.
    pub fn call_as_admin(&self, line: &str, body: &str) -> Result<String> {
        let (status, response) = self.call(Ipv4Addr::LOCALHOST, line, self.admin, body)?;
        match status {
            200..300 => Ok(response),
            _ => Err(format!("{line}: {status} {response}").into()),
        }
    }

    /// Adds a camera, which is deleted when the result is dropped.
    ///
    /// # Errors
    /// Returns an error if the hub refuses.
    pub(super) fn add_camera(&self, room: &str, source: &str) -> Result<AddedCamera<'_>> {
        let room = room.to_owned();
        let verify = source
            .starts_with("https")
            .then_some(r#","verifyTls":false"#);
        let body = format!(
            r#"{{"room":"{room}","source":"{source}"{}}}"#,
            verify.unwrap_or_default()
        );
        self.call_as_admin("POST /api/v1/cameras", &body)?;
        Ok(AddedCamera { target: self, room })
    }

    /// Mints a key for a device, which is revoked when the result is dropped.
    ///
    /// # Errors
    /// Returns an error if the hub refuses.
    pub(super) fn create_key(&self, room: &str) -> Result<Key<'_>> {
        let body = format!(r#"{{"room":"{room}"}}"#);
        let made = self.call_as_admin("POST /api/v1/apps/live/ws-ingest", &body)?;
        Ok(Key {
            id: field(&made, "id").ok_or("the key has no id")?,
            path: format!(
                "/ingest/ws?app=live&room={room}&key={}",
                field(&made, "streamKey").ok_or("the key has no secret")?
            ),
            room: room.to_owned(),
            target: self,
        })
    }
}

/// A key that is revoked when dropped.
pub(super) struct Key<'a> {
    target: &'a Target,
    id: String,
    /// The path its device connects to.
    pub path: String,
    /// Its camera's room.
    pub room: String,
}

impl Drop for Key<'_> {
    fn drop(&mut self) {
        let line = format!("DELETE /api/v1/apps/live/ws-ingest/{}", self.id);
        let _ = self.target.call_as_admin(&line, "");
    }
}

/// A camera that is deleted when dropped.
pub(super) struct AddedCamera<'a> {
    target: &'a Target,
    /// Its room.
    pub room: String,
}

impl AddedCamera<'_> {
    /// Watches the camera until the attack is over, and discards the frames.
    pub fn watch(&self, progress: &Progress) -> Result<()> {
        let mut wall = Socket::wall_over(
            self.target.connect(self.target.new_address())?,
            &format!("\"{}\"", self.room),
            TIMEOUT,
        )?;
        while progress.is_running() {
            let link = wall.link();
            if link.pump(&[], |_| {})?.is_none() {
                return Err("the viewer of the hostile camera was disconnected".into());
            }
            link.wait_ready(false, BEAT)?;
        }
        Ok(())
    }
}

impl Drop for AddedCamera<'_> {
    fn drop(&mut self) {
        let line = format!("DELETE /api/v1/cameras/{}", self.room);
        let _ = self.target.call_as_admin(&line, "");
    }
}

/// Returns the value of a string field in a JSON object. The value must not contain escapes.
pub(super) fn field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    Some(rest.split('"').next()?.to_owned())
}
