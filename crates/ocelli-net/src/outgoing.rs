//! Responses that clients have not read yet: their memory per client address, and stalled HTTP/2
//! streams.
//!
//! Over HTTP/1.1 a stalled response ends with its connection, by the stall timeout of
//! [`connection`](crate::connection). Over HTTP/2 a client can keep the window of one stream closed
//! while the connection works, so each stream has its own stall timeout here. It measures bytes
//! that are written to the connection, not chunks that are queued.

use crate::connection::STALL_LIMIT;
use crate::throttle::AddressPrefix;
use axum::body::Body;
use axum::response::Response;
use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

/// Bytes of unread responses per address. Beyond that, further requests of the address wait.
const HELD_LIMIT: usize = 64 * 1024 * 1024;
/// Bytes counted for a request until the length of its response is known.
pub const UNKNOWN: usize = 64 * 1024;
/// Requests of one address that may wait for memory.
const WAITING_LIMIT: usize = 256;

/// Marks a response whose body shares its memory and is not counted.
#[derive(Clone, Copy)]
pub struct Shared;

/// The memory of an address stays at its limit, because the client does not read its responses.
#[derive(Debug)]
pub struct MemoryLimitReached;

/// Memory held per client address.
#[derive(Debug, Default)]
pub struct Accounts(Mutex<HashMap<AddressPrefix, Weak<Account>>>);

impl Accounts {
    /// Returns the account of an address. It is removed when its last holder drops it.
    pub fn of(self: &Arc<Self>, address: IpAddr) -> Arc<Account> {
        let prefix = AddressPrefix::from(address);
        let mut accounts = self.lock();
        if let Some(existing) = accounts.get(&prefix).and_then(Weak::upgrade) {
            return existing;
        }
        let account = Arc::new(Account {
            accounts: self.clone(),
            prefix,
            held: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        });
        accounts.insert(prefix, Arc::downgrade(&account));
        account
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AddressPrefix, Weak<Account>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory held for one client address.
#[derive(Debug)]
pub struct Account {
    accounts: Arc<Accounts>,
    prefix: AddressPrefix,
    held: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Drop for Account {
    fn drop(&mut self) {
        let mut accounts = self.accounts.lock();
        // A new account may have replaced this one since the last holder dropped it.
        if accounts
            .get(&self.prefix)
            .is_some_and(|account| account.strong_count() == 0)
        {
            accounts.remove(&self.prefix);
        }
    }
}

impl Account {
    /// Waits until a request of this address may be answered. It counts for `expected` bytes until
    /// its response exists.
    ///
    /// # Errors
    /// No memory became free within `STALL_LIMIT`, or too many requests are already waiting.
    pub async fn enter(self: &Arc<Self>, expected: usize) -> Result<Held, MemoryLimitReached> {
        if self.held.load(Ordering::Relaxed) < HELD_LIMIT {
            return Ok(self.hold(expected));
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_LIMIT {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(MemoryLimitReached);
        }
        let waiting = Waiting(self);
        let entered = timeout(STALL_LIMIT, async {
            loop {
                let mut freed = std::pin::pin!(self.freed.notified());
                freed.as_mut().enable();
                if self.held.load(Ordering::Relaxed) < HELD_LIMIT {
                    return self.hold(expected);
                }
                freed.await;
            }
        });
        let entered = entered.await;
        drop(waiting);
        entered.map_err(|_| MemoryLimitReached)
    }

    /// Returns a [`Held`] of zero bytes, for a response that is not counted.
    pub fn hold_none(self: &Arc<Self>) -> Held {
        self.hold(0)
    }

    fn hold(self: &Arc<Self>, len: usize) -> Held {
        self.held.fetch_add(len, Ordering::Relaxed);
        Held {
            account: self.clone(),
            len,
        }
    }
}

/// One waiting request. Dropping it ends the count, also if the client disconnects.
struct Waiting<'a>(&'a Account);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes that count towards an address until this is dropped.
#[derive(Debug)]
pub struct Held {
    account: Arc<Account>,
    len: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        let before = self.account.held.fetch_sub(self.len, Ordering::Relaxed);
        if before >= HELD_LIMIT && before - self.len < HELD_LIMIT {
            self.account.freed.notify_waiters();
        }
    }
}

/// The body of a response, with its memory counted.
pub struct Outgoing {
    inner: Body,
    /// The count of a whole response whose length is known.
    whole: Option<Arc<Held>>,
    /// Counts the chunks of other responses over HTTP/2. Over HTTP/1.1 there is one chunk per
    /// connection, which is not counted.
    account: Option<Arc<Account>>,
    flow: Option<Arc<Flow>>,
}

impl Outgoing {
    /// Wraps a response so that its body counts towards an address and, over HTTP/2, towards the
    /// flow of its stream.
    pub fn of(response: Response, entered: Held, flow: Option<Arc<Flow>>) -> http::Response<Self> {
        let shared = response.extensions().get::<Shared>().is_some();
        response.map(|inner| {
            let len = inner.size_hint().exact().filter(|_| !shared);
            let len = len.and_then(|len| usize::try_from(len).ok());
            let whole = len.map(|len| Arc::new(entered.account.hold(len)));
            let pieces = flow.is_some() && !shared && whole.is_none();
            Self {
                inner,
                whole,
                account: pieces.then(|| entered.account.clone()),
                flow,
            }
        })
    }

    fn piece(&self, bytes: Bytes) -> Piece {
        if let Some(flow) = &self.flow {
            flow.add_queued(bytes.len());
        }
        let own = self.account.as_ref();
        let held = own.map(|account| Arc::new(account.hold(bytes.len())));
        Piece {
            bytes,
            flow: self.flow.clone(),
            _held: held.or_else(|| self.whole.clone()),
        }
    }
}

impl http_body::Body for Outgoing {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match frame {
            Some(frame) => {
                let frame = frame.map(|frame| frame.map_data(|bytes| self.piece(bytes)));
                Poll::Ready(Some(frame))
            }
            // The stream's task must run until the last byte has been written: after it has
            // ended, nothing can reset the stream.
            None => match &self.flow {
                Some(flow) => flow.poll_written(cx).map(|()| None),
                None => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        let written = self.flow.as_ref().is_none_or(|flow| flow.is_written());
        written && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A chunk of a body that records how much of it has been written.
pub struct Piece {
    bytes: Bytes,
    flow: Option<Arc<Flow>>,
    _held: Option<Arc<Held>>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, len: usize) {
        self.bytes.advance(len);
        if let Some(flow) = &self.flow {
            flow.add_written(len);
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(flow) = &self.flow {
            flow.add_written(self.bytes.len());
        }
    }
}

/// The progress of the body of one HTTP/2 stream.
#[derive(Debug)]
pub struct Flow(Mutex<Progress>);

#[derive(Debug)]
struct Progress {
    /// Bytes that are queued and have not been written.
    waiting: usize,
    /// When bytes were last written, or queued while none were waiting.
    last_progress: Instant,
    /// The waker of the body, while it waits for its last bytes to be written.
    waker: Option<Waker>,
}

impl Default for Flow {
    fn default() -> Self {
        Self(Mutex::new(Progress {
            waiting: 0,
            last_progress: Instant::now(),
            waker: None,
        }))
    }
}

impl Flow {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_queued(&self, len: usize) {
        let mut progress = self.lock();
        if progress.waiting == 0 {
            progress.last_progress = Instant::now();
        }
        progress.waiting += len;
    }

    fn add_written(&self, len: usize) {
        if len == 0 {
            return;
        }
        let mut progress = self.lock();
        progress.waiting -= len;
        progress.last_progress = Instant::now();
        let waker = match progress.waiting {
            0 => progress.waker.take(),
            _ => None,
        };
        drop(progress);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_written(&self) -> bool {
        self.lock().waiting == 0
    }

    fn poll_written(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut progress = self.lock();
        if progress.waiting == 0 {
            return Poll::Ready(());
        }
        progress.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Completes when the client has read nothing for `STALL_LIMIT` while bytes were waiting.
    pub async fn stalled(&self) {
        loop {
            let (due, waiting) = {
                let progress = self.lock();
                (progress.last_progress + STALL_LIMIT, progress.waiting > 0)
            };
            let now = Instant::now();
            match waiting {
                true if due <= now => return,
                true => sleep_until(due).await,
                // Nothing is queued, so no stall can occur before a full timeout.
                false => sleep_until(now + STALL_LIMIT).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn account() -> Arc<Account> {
        Arc::<Accounts>::default().of(IpAddr::from([10, 0, 0, 1]))
    }

    fn answer(len: usize) -> Response {
        Response::new(Body::from(vec![0; len]))
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_while_their_address_has_too_many_unread_bytes() {
        let account = account();
        let entered = account.enter(UNKNOWN).await.expect("room");
        let unread = Outgoing::of(answer(HELD_LIMIT), entered, None);
        let waiting = tokio::spawn({
            let account = account.clone();
            async move { account.enter(UNKNOWN).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        // Another address has its own limit.
        let accounts = &account.accounts;
        let other = accounts.of(IpAddr::from([10, 0, 0, 2]));
        assert!(other.enter(UNKNOWN).await.is_ok());
        drop(unread);
        assert!(waiting.await.expect("an answer"));
        assert_eq!(account.held.load(Ordering::Relaxed), 0);
        // If the client never reads, the wait ends with an error.
        let entered = account.enter(UNKNOWN).await.expect("room");
        let _unread = Outgoing::of(answer(HELD_LIMIT), entered, None);
        assert!(account.enter(UNKNOWN).await.is_err());
        assert_eq!(account.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_response_counts_until_its_last_chunk_is_written() {
        let account = account();
        let entered = account.enter(UNKNOWN).await.expect("room");
        let mut body = Outgoing::of(answer(1000), entered, None).into_body();
        assert_eq!(account.held.load(Ordering::Relaxed), 1000);
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let piece = frame.expect("a piece").expect("whole").into_data();
        drop(body);
        assert_eq!(account.held.load(Ordering::Relaxed), 1000);
        drop(piece.map_err(|_| "data"));
        assert_eq!(account.held.load(Ordering::Relaxed), 0);
        // A body that shares its memory is not counted.
        let entered = account.enter(UNKNOWN).await.expect("room");
        let mut shared = answer(1000);
        shared.extensions_mut().insert(Shared);
        let _shared = Outgoing::of(shared, entered, None);
        assert_eq!(account.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_account_is_removed_with_its_last_response() {
        let accounts = Arc::<Accounts>::default();
        let address = IpAddr::from([10, 0, 0, 1]);
        let (one, same) = (accounts.of(address), accounts.of(address));
        assert!(Arc::ptr_eq(&one, &same));
        drop((one, same));
        assert!(accounts.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_stall_timeout_measures_written_bytes() {
        let (account, flow) = (account(), Arc::<Flow>::default());
        let entered = account.enter(UNKNOWN).await.expect("room");
        let mut body = Outgoing::of(answer(100), entered, Some(flow.clone())).into_body();
        let idle = timeout(STALL_LIMIT * 3, flow.stalled()).await;
        assert!(idle.is_err(), "nothing was queued");
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let frame = frame.expect("a piece").expect("whole").into_data();
        let mut piece = frame.map_err(|_| "data").expect("data");
        assert!(!body.is_end_stream(), "its bytes have not been written");
        for _ in 0..3 {
            let slow = timeout(STALL_LIMIT - STALL_LIMIT / 10, flow.stalled()).await;
            assert!(slow.is_err(), "a slow client is not stalled");
            piece.advance(1);
        }
        let started = Instant::now();
        flow.stalled().await;
        assert_eq!(started.elapsed(), STALL_LIMIT);
        drop(piece);
        let end = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert!(end.is_none());
    }
}
