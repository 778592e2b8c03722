//! TCP or TLS connection to a camera, charged to the camera's budget.
//!
//! The host name is resolved and checked by the SSRF guard, and the hub connects to exactly the
//! checked addresses.

use super::fault::Fault;
use crate::sources::{SsrfGuard, connect_tls};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ocelli_core::Metered;
use ocelli_core::{Budget, CpuTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;

/// Number of a host's addresses that are tried, and the delay between two attempts.
const MAX_ADDRESSES: usize = 8;
const STAGGER: Duration = Duration::from_millis(250);

/// The most processor time that is charged for the TLS processing of one read. If it took
/// longer, the thread was waiting for a processor and not working.
const MAX_TLS_STEP: Duration = Duration::from_millis(5);

/// A connection, plain or with TLS.
pub(super) enum Wire {
    Plain(Metered<TcpStream>),
    Tls(Box<TlsStream<Timed>>),
}

impl Wire {
    /// Connects to a host.
    pub(super) async fn open(
        host: &str,
        port: u16,
        ssrf_guard: SsrfGuard,
        tls: Option<Arc<ClientConfig>>,
        budget: Budget,
    ) -> Result<Self, Fault> {
        let addresses = ssrf_guard.resolve(host, port).await?;
        let stream = connect(&addresses).await?;
        stream.set_nodelay(true)?;
        let stream = Metered::new(stream, budget);
        let Some(tls) = tls else {
            return Ok(Self::Plain(stream));
        };
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = Timed {
            inner: stream,
            since: None,
        };
        let mut stream = connect_tls(tls, name, stream)
            .await
            .map_err(Fault::Handshake)?;
        stream.get_mut().0.charge();
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Returns the budget that this connection is charged to.
    pub(super) fn budget(&mut self) -> &mut Budget {
        match self {
            Self::Plain(stream) => stream.budget(),
            Self::Tls(stream) => stream.get_mut().0.inner.budget(),
        }
    }

    /// Reads some bytes. Returns 0 at the end.
    pub(super) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Self::Plain(stream) => stream.read(into).await,
            Self::Tls(stream) => ChargeOnRead(stream).read(into).await,
        };
        match read {
            // TLS ended without close_notify. Where truncation matters, the body's length shows it.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    /// Writes all of `bytes`.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

/// Connects to the first of these addresses that accepts. Each is tried when the one before has
/// failed or has not accepted within a short time.
async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter().take(MAX_ADDRESSES);
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        let next = waiting.next();
        attempts.extend(next.map(|address| TcpStream::connect(*address)));
        tokio::select! {
            connected = attempts.next() => match connected {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failure = failure.or(Some(error)),
                None => {
                    let no_address = || io::Error::other("failed to resolve: it has no address");
                    return Err(failure.unwrap_or_else(no_address));
                }
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

/// Charges the processor time between two reads within one TLS poll. The peer chooses how many
/// records and messages one read contains, and so how long their processing takes.
pub(super) struct Timed {
    inner: Metered<TcpStream>,
    /// Start of the processing of the last read, until its cost has been charged.
    since: Option<CpuTimer>,
}

impl Timed {
    fn charge(&mut self) {
        if let Some(since) = self.since.take() {
            let elapsed = since.elapsed().min(MAX_TLS_STEP);
            self.inner.budget().charge(elapsed);
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.charge();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = read {
            self.since = Some(CpuTimer::start());
        }
        read
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Reads from TLS and charges the cost of the last read.
struct ChargeOnRead<'a>(&'a mut TlsStream<Timed>);

impl AsyncRead for ChargeOnRead<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut *self.0).poll_read(cx, buf);
        self.0.get_mut().0.charge();
        read
    }
}
