//! Answers that clients have not taken yet: how much memory they hold for each client
//! address, and which HTTP/2 streams take nothing.
//!
//! Over HTTP/1.1 an answer ends with its connection, which the stall rule of
//! [`connection`](crate::connection) ends. Over HTTP/2 a client can keep one stream's
//! window shut while the connection itself is well, so each stream is timed here: by the
//! bytes that leave for the connection, not by the pieces that are handed over.

use crate::connection::STALL_LIMIT;
use crate::throttle::Block;
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

/// The bytes of answers that are held for one address; with more, its next requests wait.
const HELD_LIMIT: usize = 64 * 1024 * 1024;
/// What a request counts for until the length of its answer is known.
pub const UNKNOWN: usize = 64 * 1024;
/// The requests of one address that may wait for room.
const WAITING_LIMIT: usize = 256;

/// Marks an answer whose body takes no memory of its own.
#[derive(Clone, Copy)]
pub struct Shared;

/// An address holds as much as it may, and its other answers do not get ahead.
#[derive(Debug)]
pub struct Full;

/// What is held for each client address.
#[derive(Debug, Default)]
pub struct Accounts(Mutex<HashMap<Block, Weak<Account>>>);

impl Accounts {
    /// The account of an address, which is forgotten when nobody has it any more.
    pub fn of(self: &Arc<Self>, address: IpAddr) -> Arc<Account> {
        let block = Block::from(address);
        let mut accounts = self.lock();
        if let Some(known) = accounts.get(&block).and_then(Weak::upgrade) {
            return known;
        }
        let account = Arc::new(Account {
            accounts: self.clone(),
            block,
            held: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        });
        accounts.insert(block, Arc::downgrade(&account));
        account
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Block, Weak<Account>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is held for one client address.
#[derive(Debug)]
pub struct Account {
    accounts: Arc<Accounts>,
    block: Block,
    held: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Drop for Account {
    fn drop(&mut self) {
        let mut accounts = self.accounts.lock();
        // Another may have taken its place since the last holder let go.
        if accounts
            .get(&self.block)
            .is_some_and(|account| account.strong_count() == 0)
        {
            accounts.remove(&self.block);
        }
    }
}

impl Account {
    /// Waits until a request of this address may be answered, which counts for so many
    /// bytes until its answer is there.
    ///
    /// # Errors
    /// There was no room for as long as a client may stall, or too many wait already.
    pub async fn enter(self: &Arc<Self>, expected: usize) -> Result<Held, Full> {
        if self.held.load(Ordering::Relaxed) < HELD_LIMIT {
            return Ok(self.hold(expected));
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_LIMIT {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Full);
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
        entered.map_err(|_| Full)
    }

    /// For an answer that counts for nothing.
    pub fn hold_nothing(self: &Arc<Self>) -> Held {
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

/// One request that waits for room, also when its client gives up.
struct Waiting<'a>(&'a Account);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes that count against an address until this is dropped.
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

/// The body of an answer on its way to a client.
pub struct Outgoing {
    inner: Body,
    /// The whole of an answer whose length is known.
    whole: Option<Arc<Held>>,
    /// Where the pieces of any other are counted, over HTTP/2: over HTTP/1.1 there is one
    /// for each connection.
    account: Option<Arc<Account>>,
    flow: Option<Arc<Flow>>,
}

impl Outgoing {
    /// The answer with its body counted: against an address, and by the stream's own
    /// flow where it goes out over HTTP/2.
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
            flow.give(bytes.len());
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
            // The stream's task has to be there until the last byte has left: once it has
            // ended, nothing could reset the stream.
            None => match &self.flow {
                Some(flow) => flow.poll_taken(cx).map(|()| None),
                None => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        let taken = self.flow.as_ref().is_none_or(|flow| flow.is_taken());
        taken && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A piece of a body, which notes what of it leaves.
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
            flow.take(len);
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(flow) = &self.flow {
            flow.take(self.bytes.len());
        }
    }
}

/// How the body of one HTTP/2 stream gets ahead.
#[derive(Debug)]
pub struct Flow(Mutex<Progress>);

#[derive(Debug)]
struct Progress {
    /// Bytes that were handed over and have not left.
    waiting: usize,
    /// When bytes last left, or were handed over while none waited.
    moved: Instant,
    /// The body, while it waits for its last bytes to leave.
    waker: Option<Waker>,
}

impl Default for Flow {
    fn default() -> Self {
        Self(Mutex::new(Progress {
            waiting: 0,
            moved: Instant::now(),
            waker: None,
        }))
    }
}

impl Flow {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, len: usize) {
        let mut progress = self.lock();
        if progress.waiting == 0 {
            progress.moved = Instant::now();
        }
        progress.waiting += len;
    }

    fn take(&self, len: usize) {
        if len == 0 {
            return;
        }
        let mut progress = self.lock();
        progress.waiting -= len;
        progress.moved = Instant::now();
        let waker = match progress.waiting {
            0 => progress.waker.take(),
            _ => None,
        };
        drop(progress);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_taken(&self) -> bool {
        self.lock().waiting == 0
    }

    fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut progress = self.lock();
        if progress.waiting == 0 {
            return Poll::Ready(());
        }
        progress.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when the client has taken nothing for as long as it may, with bytes to take.
    pub async fn stalled(&self) {
        loop {
            let (due, waiting) = {
                let progress = self.lock();
                (progress.moved + STALL_LIMIT, progress.waiting > 0)
            };
            let now = Instant::now();
            match waiting {
                true if due <= now => return,
                true => sleep_until(due).await,
                // What is handed over later stalls later.
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
    async fn requests_wait_while_their_address_holds_too_much() {
        let account = account();
        let entered = account.enter(UNKNOWN).await.expect("room");
        let untaken = Outgoing::of(answer(HELD_LIMIT), entered, None);
        let waiting = tokio::spawn({
            let account = account.clone();
            async move { account.enter(UNKNOWN).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        // Another address has its own.
        let accounts = &account.accounts;
        let other = accounts.of(IpAddr::from([10, 0, 0, 2]));
        assert!(other.enter(UNKNOWN).await.is_ok());
        drop(untaken);
        assert!(waiting.await.expect("an answer"));
        assert_eq!(account.held.load(Ordering::Relaxed), 0);
        // For one whose answers do not get ahead there is an end.
        let entered = account.enter(UNKNOWN).await.expect("room");
        let _untaken = Outgoing::of(answer(HELD_LIMIT), entered, None);
        assert!(account.enter(UNKNOWN).await.is_err());
        assert_eq!(account.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn an_answer_counts_until_its_last_piece_has_left() {
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
        // What takes no memory counts for none.
        let entered = account.enter(UNKNOWN).await.expect("room");
        let mut shared = answer(1000);
        shared.extensions_mut().insert(Shared);
        let _shared = Outgoing::of(shared, entered, None);
        assert_eq!(account.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_address_is_forgotten_with_its_last_answer() {
        let accounts = Arc::<Accounts>::default();
        let address = IpAddr::from([10, 0, 0, 1]);
        let (one, same) = (accounts.of(address), accounts.of(address));
        assert!(Arc::ptr_eq(&one, &same));
        drop((one, same));
        assert!(accounts.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_stalls_by_the_bytes_that_leave() {
        let (account, flow) = (account(), Arc::<Flow>::default());
        let entered = account.enter(UNKNOWN).await.expect("room");
        let mut body = Outgoing::of(answer(100), entered, Some(flow.clone())).into_body();
        let idle = timeout(STALL_LIMIT * 3, flow.stalled()).await;
        assert!(idle.is_err(), "nothing was handed over");
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let frame = frame.expect("a piece").expect("whole").into_data();
        let mut piece = frame.map_err(|_| "data").expect("data");
        assert!(!body.is_end_stream(), "its bytes have not left");
        for _ in 0..3 {
            let slow = timeout(STALL_LIMIT - STALL_LIMIT / 10, flow.stalled()).await;
            assert!(slow.is_err(), "it is slow, and takes some");
            piece.advance(1);
        }
        let begun = Instant::now();
        flow.stalled().await;
        assert_eq!(begun.elapsed(), STALL_LIMIT);
        drop(piece);
        let end = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert!(end.is_none());
    }
}
