//! HTTP/1.1 as the hub asks a camera: one request at a time, and its answer read as it is
//! wanted.
//!
//! It is read on the camera's own task and nowhere else, so that the camera's budget bounds
//! all that is done for it. Of an answer are kept its head (64 KiB) and one read of its body.

use super::fault::Fault;
use super::framing::{Framing, Taken};
use super::head::{Head, HeadReader};
use super::wire::Wire;
use crate::sources::SsrfGuard;
use ocelli_core::Budget;
use rustls::ClientConfig;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use url::{Origin, Url};

/// For connecting, with the handshake of TLS.
const CONNECT: Duration = Duration::from_secs(5);

/// How much is read at once.
const READ: usize = 32 << 10;

/// The body of a redirection or a challenge; the connection of a longer one is given up.
const MAX_SKIPPED: usize = 64 << 10;

/// A connection to a camera.
pub(super) struct Connection {
    wire: Wire,
    origin: Origin,
    buffer: Box<[u8]>,
    /// What of the buffer was read and not looked at.
    raw: Range<usize>,
    /// What of the buffer is the body's and was not taken.
    data: Range<usize>,
    framing: Framing,
    keeps_alive: bool,
    /// Nothing of the answer to the last request has come.
    unanswered: bool,
}

impl Connection {
    /// Connects to where `url` is.
    pub(super) async fn open(
        url: &Url,
        ssrf_guard: SsrfGuard,
        tls: Option<Arc<ClientConfig>>,
        budget: Budget,
    ) -> Result<Self, Fault> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let opened = timeout(CONNECT, Wire::open(host, port, ssrf_guard, tls, budget)).await;
        Ok(Self {
            wire: opened.map_err(|_| Fault::NoConnection)??,
            origin: url.origin(),
            buffer: vec![0; READ].into(),
            raw: 0..0,
            data: 0..0,
            framing: Framing::Length(0),
            keeps_alive: true,
            unanswered: true,
        })
    }

    /// Whether a request for `url` can be sent over it.
    pub(super) fn serves(&self, url: &Url) -> bool {
        // What has come unasked would be taken for the next answer.
        let is_clean = self.framing.is_done() && self.raw.is_empty();
        self.keeps_alive && is_clean && self.origin == url.origin()
    }

    /// Whether the camera closed it, or may have, before it saw the last request.
    pub(super) fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    /// Lets no other answer follow.
    pub(super) fn give_up(&mut self) {
        self.keeps_alive = false;
    }

    /// What the camera may still cost.
    pub(super) fn budget(&mut self) -> &mut Budget {
        self.wire.budget()
    }

    /// Bytes of the body still to come, where they are known.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.framing.remaining()
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn ask(&mut self, request: &str) -> Result<Head, Fault> {
        self.unanswered = true;
        self.keeps_alive = false;
        self.wire.write(request.as_bytes()).await?;
        let mut reader = HeadReader::default();
        loop {
            let mut rest = &self.buffer[self.raw.clone()];
            let head = reader.take(&mut rest)?;
            self.raw.start = self.raw.end - rest.len();
            self.unanswered = reader.is_untouched();
            if let Some(head) = head {
                self.framing = Framing::of(&head);
                self.keeps_alive = self.framing.keeps_alive(&head);
                return Ok(head);
            }
            if self.fill().await? == 0 {
                return Err(Fault::Closed);
            }
        }
    }

    /// The next bytes of the body, at least one; none at its end. They stay until they are
    /// taken by [`Self::consume`].
    pub(super) async fn body(&mut self) -> Result<Option<&[u8]>, Fault> {
        while self.data.is_empty() {
            let mut rest = &self.buffer[self.raw.clone()];
            let taken = self.framing.take(&mut rest)?;
            self.raw.start = self.raw.end - rest.len();
            match taken {
                Taken::Data(len) => {
                    self.data = self.raw.start - len..self.raw.start;
                    if matches!(self.framing, Framing::Chunked(_)) {
                        self.wire.budget().charge_messages(1);
                    }
                }
                Taken::End => return Ok(None),
                Taken::Nothing => {
                    if self.fill().await? == 0 {
                        return match self.framing.ends_with_connection() {
                            true => Ok(None),
                            false => Err(Fault::Closed),
                        };
                    }
                }
            }
        }
        Ok(Some(&self.buffer[self.data.clone()]))
    }

    /// Takes so many of the bytes that [`Self::body`] gave.
    pub(super) fn consume(&mut self, len: usize) {
        self.data.start = (self.data.start + len).min(self.data.end);
    }

    /// Skips the body, so that the connection can be used again, unless it is long.
    pub(super) async fn skip(&mut self) -> Result<(), Fault> {
        let mut skipped = 0;
        while self.keeps_alive
            && let Some(bytes) = self.body().await?
        {
            let len = bytes.len();
            self.consume(len);
            skipped += len;
            self.keeps_alive &= skipped <= MAX_SKIPPED;
        }
        Ok(())
    }

    /// Reads once. All that was read before has been taken.
    async fn fill(&mut self) -> Result<usize, Fault> {
        let len = self.wire.read(&mut self.buffer).await?;
        self.raw = 0..len;
        Ok(len)
    }
}
