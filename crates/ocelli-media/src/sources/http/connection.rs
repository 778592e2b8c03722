//! HTTP/1.1 client connection to a camera: one request at a time, with a response that is read
//! on demand.
//!
//! All reading is done on the camera's own task, so that the camera's budget bounds all work
//! for it. At most the response's head (64 KiB), one read of its body and, if that is compressed,
//! one step of decoding are kept in memory.

use super::coding::{Coding, Decoder, Invalid};
use super::fault::Fault;
use super::framing::{Framing, Taken};
use super::head::{Head, HeadReader};
use super::wire::Wire;
use crate::sources::SsrfGuard;
use ocelli_core::{Budget, CpuTimer};
use rustls::ClientConfig;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use url::{Origin, Url};

/// Timeout for connecting, including the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes read at a time.
const READ_SIZE: usize = 32 << 10;

/// The longest body of a redirect or a challenge that is skipped. With a longer body, the
/// connection is closed.
const MAX_SKIPPED: usize = 64 << 10;

/// The most processor time that is charged for one step of decoding. If it took longer, the
/// thread was waiting for a processor.
const MAX_STEP: Duration = Duration::from_millis(5);

/// A connection to a camera.
pub(super) struct Connection {
    wire: Wire,
    origin: Origin,
    buffer: Box<[u8]>,
    /// The part of the buffer that has not been parsed yet.
    raw: Range<usize>,
    /// The part of the buffer that belongs to the body and has not been consumed yet.
    data: Range<usize>,
    framing: Framing,
    /// Decodes the body, if it is compressed.
    decoder: Option<Decoder>,
    keeps_alive: bool,
    /// Whether no byte of the response to the last request has arrived.
    unanswered: bool,
}

impl Connection {
    /// Connects to the host of `url`.
    pub(super) async fn open(
        url: &Url,
        ssrf_guard: SsrfGuard,
        tls: Option<Arc<ClientConfig>>,
        budget: Budget,
    ) -> Result<Self, Fault> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let opened = timeout(
            CONNECT_TIMEOUT,
            Wire::open(host, port, ssrf_guard, tls, budget),
        )
        .await;
        Ok(Self {
            wire: opened.map_err(|_| Fault::NoConnection)??,
            origin: url.origin(),
            buffer: vec![0; READ_SIZE].into(),
            raw: 0..0,
            data: 0..0,
            framing: Framing::Length(0),
            decoder: None,
            keeps_alive: true,
            unanswered: true,
        })
    }

    /// Returns true if a request for `url` can be sent over this connection.
    pub(super) fn serves(&self, url: &Url) -> bool {
        // Unrequested bytes would be mistaken for the next response.
        let is_clean = self.framing.is_done() && self.raw.is_empty();
        self.keeps_alive && is_clean && self.origin == url.origin()
    }

    /// Returns true if no byte of the last response has arrived, so the camera may have closed the
    /// connection before it read the request.
    pub(super) fn has_no_response(&self) -> bool {
        self.unanswered
    }

    /// Prevents another request over this connection.
    pub(super) fn close_after_response(&mut self) {
        self.keeps_alive = false;
    }

    /// Returns the camera's budget.
    pub(super) fn budget(&mut self) -> &mut Budget {
        self.wire.budget()
    }

    /// Sends a request and reads the head of the response.
    pub(super) async fn request(&mut self, request: &[u8]) -> Result<Head, Fault> {
        self.unanswered = true;
        self.keeps_alive = false;
        self.wire.write(request).await?;
        let mut reader = HeadReader::default();
        loop {
            let mut rest = &self.buffer[self.raw.clone()];
            let head = reader.take(&mut rest)?;
            self.raw.start = self.raw.end - rest.len();
            self.unanswered = reader.is_untouched();
            if let Some(head) = head {
                self.framing = Framing::of(&head);
                self.decoder = Decoder::new(&Coding::of(&head.headers));
                self.keeps_alive = self.framing.keeps_alive(&head);
                return Ok(head);
            }
            if self.fill().await? == 0 {
                return Err(Fault::Closed);
            }
        }
    }

    /// Returns the next bytes of the body, at least one, or `None` at its end. They stay in the
    /// buffer until [`Self::consume`] is called.
    pub(super) async fn body(&mut self) -> Result<Option<&[u8]>, Fault> {
        if self.decoder.is_none() {
            return self.coded_body().await;
        }
        loop {
            let is_ready = |decoder: &Decoder| !decoder.ready().is_empty();
            if self.decoder.as_ref().is_some_and(is_ready) {
                return Ok(self.decoder.as_ref().map(Decoder::ready));
            }
            let is_over = !self.decoder.as_ref().is_some_and(Decoder::has_more)
                && self.coded_body().await?.is_none();
            let Some(decoder) = &mut self.decoder else {
                return Ok(None);
            };
            if is_over {
                return match decoder.may_end() {
                    true => Ok(None),
                    false => Err(Fault::Closed),
                };
            }
            let timer = CpuTimer::start();
            let taken = decoder.take(&self.buffer[self.data.clone()]);
            let len = decoder.ready().len();
            self.data.start += taken.map_err(|Invalid| Fault::Coding)?;
            // A few compressed bytes may become many.
            let budget = self.wire.budget();
            budget.charge(timer.elapsed().min(MAX_STEP));
            budget.charge_bytes(len);
            let exceeded = |exceeded| Fault::Io(io::Error::other(exceeded));
            budget.ready().await.map_err(exceeded)?;
        }
    }

    /// Returns the next bytes of the body as they are sent.
    async fn coded_body(&mut self) -> Result<Option<&[u8]>, Fault> {
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

    /// Consumes `len` of the bytes that [`Self::body`] returned.
    pub(super) fn consume(&mut self, len: usize) {
        match &mut self.decoder {
            Some(decoder) => decoder.consume(len),
            None => self.consume_coded(len),
        }
    }

    fn consume_coded(&mut self, len: usize) {
        self.data.start = (self.data.start + len).min(self.data.end);
    }

    /// Skips the body so that the connection can be used again, unless the body is too long.
    pub(super) async fn skip(&mut self) -> Result<(), Fault> {
        let mut skipped = 0;
        while self.keeps_alive
            && let Some(bytes) = self.coded_body().await?
        {
            let len = bytes.len();
            self.consume_coded(len);
            skipped += len;
            self.keeps_alive &= skipped <= MAX_SKIPPED;
        }
        Ok(())
    }

    /// Reads once. The buffer must have been consumed completely.
    async fn fill(&mut self) -> Result<usize, Fault> {
        let len = self.wire.read(&mut self.buffer).await?;
        self.raw = 0..len;
        Ok(len)
    }
}
