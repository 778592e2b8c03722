//! A transport whose reads are charged to its peer's budget.
//!
//! Parsers charge their own processing costs beyond the price per byte.

use crate::Budget;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A transport that reads from `T` while the budget allows, and writes as `T` does.
#[derive(Debug)]
pub struct Metered<T> {
    inner: T,
    budget: Budget,
}

impl<T> Metered<T> {
    /// Creates a transport that charges reads from `inner` to `budget`.
    pub fn new(inner: T, budget: Budget) -> Self {
        Self { inner, budget }
    }

    /// Returns the budget, to charge other work to it.
    pub fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// Charges another budget from now on.
    pub fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// Returns the inner transport.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Returns the inner transport, mutably.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    /// # Errors
    /// Returns the errors of `T`, or [`ocelli_core::BudgetExceeded`] in an [`io::Error`] of kind
    /// `Other`.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, budget } = &mut *self;
        ready!(budget.poll_ready(cx)).map_err(io::Error::other)?;
        let before = buf.filled().len();
        ready!(Pin::new(inner).poll_read(cx, buf))?;
        budget.charge_bytes(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
