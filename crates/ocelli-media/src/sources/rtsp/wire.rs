//! TCP or TLS connection to a camera.

use super::super::connect_tls;
use super::error::SessionError;
use ocelli_core::{Budget, CpuTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// Timeout for connecting, and for the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most processor time that is charged for one step of TLS. If it took longer, the thread
/// was waiting for a processor.
const MAX_TLS_STEP: Duration = Duration::from_millis(5);

/// What TLS needs: the configuration and the server's name.
#[derive(Clone)]
pub struct Tls {
    /// The configuration, which determines the accepted certificates.
    pub config: Arc<ClientConfig>,
    /// The name that the certificate must have.
    pub name: ServerName<'static>,
}

/// A connection, plain or with TLS.
pub enum Wire {
    /// TCP.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Connects to `address`, with TLS if that is given.
    ///
    /// # Errors
    /// The connection is not accepted in time, or the TLS handshake fails.
    pub async fn open(
        address: SocketAddr,
        tls: Option<&Tls>,
        budget: &mut Option<Budget>,
    ) -> Result<Self, SessionError> {
        let late = |_| SessionError::Io(io::ErrorKind::TimedOut.into());
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        let stream = stream.map_err(late)?.map_err(SessionError::Io)?;
        // Requests are small, and the client waits for the response to each.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            return Ok(Self::Plain(stream));
        };
        let handshake = connect_tls(tls.config.clone(), tls.name.clone(), stream);
        let shaken = charged(handshake, budget);
        let stream = timeout(CONNECT_TIMEOUT, shaken).await;
        let stream = stream.map_err(late)?.map_err(SessionError::Tls)?;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Returns the TCP connection.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Reads some bytes, and charges the work for TLS.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
        budget: &mut Option<Budget>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => {
                let timer = CpuTimer::start();
                let read = Pin::new(stream).poll_read(cx, into);
                charge(timer, budget);
                match read {
                    // TLS ended without close_notify, as cameras do.
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        Poll::Ready(Ok(()))
                    }
                    read => read,
                }
            }
        }
    }

    /// Writes some bytes.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => {
                let len = ready!(Pin::new(&mut *stream).poll_write(cx, bytes))?;
                let _ = Pin::new(stream).poll_flush(cx)?;
                Poll::Ready(Ok(len))
            }
        }
    }

    /// Writes what TLS has buffered.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }
}

fn charge(timer: CpuTimer, budget: &mut Option<Budget>) {
    if let Some(budget) = budget {
        budget.charge(timer.elapsed().min(MAX_TLS_STEP));
    }
}

/// Charges the processor time of a future.
async fn charged<F: Future>(future: F, budget: &mut Option<Budget>) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let timer = CpuTimer::start();
        let polled = future.as_mut().poll(cx);
        charge(timer, budget);
        polled
    })
    .await
}
