//! Per-peer processing budgets, so that no peer starves the others.
//!
//! One thread serves every camera and every viewer, and a peer chooses how much it sends. A
//! [`Budget`] counts the cost as time on this thread: bytes and messages at fixed prices,
//! longer work by its CPU time ([`Work`](crate::Work)). It limits a peer in three ways.
//!
//! - **Turn**: after this much work the peer's task yields, and all other ready tasks run.
//! - **Share**: in the long run a peer gets a fixed share of the thread, with a burst above
//!   it. A peer over its share waits: the hub does not read from it, so its own transport
//!   slows it down.
//! - **Patience**: a peer that stays over its share for this long is disconnected
//!   ([`BudgetExceeded`]).
//!
//! The prices are upper estimates, measured on a small machine. They need not be exact,
//! because the limit on a turn holds whatever a peer sends.
//!
//! Size limits of lines, headers and pictures are not here. Each parser rejects oversized
//! input before it buffers it.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Kind of a peer, which determines its allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerKind {
    /// A WebSocket of a viewer, which sends little.
    Viewer,
    /// A WebSocket that pushes pictures.
    Device,
    /// An HTTP connection, until it is upgraded.
    Connection,
    /// An HTTP connection of a trusted reverse proxy, which carries many clients.
    Proxy,
    /// A camera that the hub connected to.
    Camera,
    /// A local program or file that the hub reads.
    Program,
    /// A connection that sends samples.
    SampleSource,
}

/// Limits for one kind of peer.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Its name in metrics.
    pub name: &'static str,
    /// Its name in a sentence.
    pub noun: &'static str,
    /// Work after which the task yields.
    pub turn: Duration,
    /// Long-term share of the thread's time, in thousandths.
    pub share: u32,
    /// Maximum work that it may accumulate.
    pub burst: Duration,
    /// How long it may stay over its share.
    pub patience: Duration,
    /// The price of 1024 bytes, in nanoseconds.
    pub kibibyte: u64,
}

/// Price of one message, packet, part or request: to find it, process it, and send a short
/// response.
const MESSAGE: Duration = Duration::from_micros(2);

impl PeerKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Viewer,
        Self::Device,
        Self::Connection,
        Self::Proxy,
        Self::Camera,
        Self::Program,
        Self::SampleSource,
    ];

    /// Returns the limits of this kind.
    pub fn allowance(self) -> &'static Allowance {
        &ALLOWANCES[self as usize]
    }
}

const TURN: Duration = Duration::from_micros(200);
const PATIENCE: Duration = Duration::from_secs(10);

/// The allowances, in the order of [`PeerKind::ALL`]. ARCHITECTURE.md lists the same numbers.
static ALLOWANCES: [Allowance; PeerKind::ALL.len()] = [
    // 64 cameras at 30 pictures a second, with one credit message per picture, use about a
    // third of this. Empty frames have the highest price per byte.
    Allowance {
        name: "viewer",
        noun: "viewer",
        turn: TURN,
        share: 50,
        burst: Duration::from_millis(250),
        patience: PATIENCE,
        kibibyte: 5_000,
    },
    // 50 MB/s.
    Allowance {
        name: "device",
        noun: "device",
        turn: TURN,
        share: 50,
        burst: Duration::from_millis(250),
        patience: PATIENCE,
        kibibyte: 1_000,
    },
    // Requests are charged their actual cost, and their bytes the cost of an HTTP/2 ping of
    // 17 bytes. A client that sends requests without a pause is slowed down, which is
    // enough while it waits for its responses.
    Allowance {
        name: "connection",
        noun: "connection",
        turn: TURN,
        share: 250,
        burst: Duration::from_millis(500),
        patience: Duration::from_secs(60),
        kibibyte: 50_000,
    },
    Allowance {
        name: "proxy",
        noun: "proxy connection",
        turn: TURN,
        share: 500,
        burst: Duration::from_secs(1),
        patience: Duration::from_secs(60),
        kibibyte: 50_000,
    },
    // 100 MB/s, or 50,000 packets a second.
    Allowance {
        name: "camera",
        noun: "camera",
        turn: TURN,
        share: 100,
        burst: Duration::from_millis(500),
        patience: PATIENCE,
        kibibyte: 1_000,
    },
    // 800 MB/s. Raw 4K video at 30 frames a second needs 370 MB/s.
    Allowance {
        name: "program",
        noun: "program",
        turn: TURN,
        share: 400,
        burst: Duration::from_secs(1),
        patience: PATIENCE,
        kibibyte: 500,
    },
    // Samples have their own thread. One source may use all the time that the others leave:
    // only its turn is limited.
    Allowance {
        name: "sample_source",
        noun: "source of samples",
        turn: TURN,
        share: 10_000,
        burst: Duration::from_secs(1),
        patience: PATIENCE,
        kibibyte: 2_500,
    },
];

/// A peer exceeded its budget for too long and must be disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetExceeded(pub PeerKind);

impl fmt::Display for BudgetExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowance = self.0.allowance();
        let (noun, seconds) = (allowance.noun, allowance.patience.as_secs());
        write!(
            f,
            "it has exceeded this hub's processing limit for one {noun} for {seconds} s"
        )
    }
}

impl Error for BudgetExceeded {}

impl BudgetExceeded {
    /// Returns the `BudgetExceeded` among the causes of an error, such as an [`io::Error`] from a read.
    pub fn cause_of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(exceeded) = error.downcast_ref() {
                return Some(*exceeded);
            }
            // `source` of an I/O error skips the error that it wraps.
            cause = match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
                Some(Some(inner)) => Some(inner as &(dyn Error + 'static)),
                _ => error.source(),
            };
        }
        None
    }
}

/// Counters of the peers of one kind that exceeded their budgets.
#[derive(Debug, Default)]
pub struct BudgetCounts {
    /// Pauses imposed on peers.
    pub waits: AtomicU64,
    /// Peers that were disconnected.
    pub disconnected: AtomicU64,
}

/// Creates budgets and holds the counters for all of them.
#[derive(Clone, Debug, Default)]
pub struct Budgets(Arc<[BudgetCounts; PeerKind::ALL.len()]>);

impl Budgets {
    /// Returns a full budget for a new peer.
    pub fn budget(&self, kind: PeerKind) -> Budget {
        Budget {
            kind,
            spent: 0,
            credit: nanos(kind.allowance().burst),
            counted: Instant::now(),
            over_since: None,
            pause: None,
            charge_handle: ChargeHandle::default(),
            budgets: self.clone(),
        }
    }

    /// Returns the counters of a kind.
    pub fn counts(&self, kind: PeerKind) -> &BudgetCounts {
        &self.0[kind as usize]
    }
}

/// Remaining budget of one peer.
#[derive(Debug)]
pub struct Budget {
    kind: PeerKind,
    /// Nanoseconds of work since the task last yielded.
    spent: i64,
    /// Nanoseconds of work that it may still do above its share; below 0 it must wait.
    credit: i64,
    /// When `credit` was last updated.
    counted: Instant,
    /// Since when it has been over its share without recovering.
    over_since: Option<Instant>,
    pause: Option<Pin<Box<Sleep>>>,
    charge_handle: ChargeHandle,
    budgets: Budgets,
}

/// Handle that charges a budget from another task, such as one that answers a request. The
/// charge counts when the peer is next read.
#[derive(Clone, Debug, Default)]
pub struct ChargeHandle(Arc<AtomicU64>);

impl ChargeHandle {
    /// Charges work by the time it took.
    pub fn charge(&self, work: Duration) {
        self.0
            .fetch_add(nanos(work).unsigned_abs(), Ordering::Relaxed);
    }

    fn take(&self) -> i64 {
        // It is nearly always zero, and a load is cheaper than a swap.
        if self.0.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        i64::try_from(self.0.swap(0, Ordering::Relaxed)).unwrap_or(i64::MAX)
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

impl Budget {
    /// Charges bytes that were read.
    pub fn charge_bytes(&mut self, len: usize) {
        let price = len as u64 * self.kind.allowance().kibibyte / 1024;
        self.charge(Duration::from_nanos(price));
    }

    /// Charges messages, packets, parts or requests that were found.
    pub fn charge_messages(&mut self, count: u32) {
        self.charge(MESSAGE * count);
    }

    /// Charges work by the time it took.
    pub fn charge(&mut self, work: Duration) {
        self.spent = self.spent.saturating_add(nanos(work));
    }

    /// Returns a handle that charges this budget from another task.
    pub fn charge_handle(&self) -> ChargeHandle {
        self.charge_handle.clone()
    }

    /// Ready when more input of the peer may be processed.
    ///
    /// # Errors
    /// Returns an error if the peer exceeded its budget for too long.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BudgetExceeded>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let allowance = self.kind.allowance();
        self.spent = self.spent.saturating_add(self.charge_handle.take());
        if self.spent < nanos(allowance.turn) {
            return Poll::Ready(Ok(()));
        }
        let now = Instant::now();
        let share = i64::from(allowance.share);
        let elapsed = nanos(now - self.counted) / 1000;
        let earned = elapsed.saturating_mul(share);
        let burst = nanos(allowance.burst);
        self.credit = self.credit.saturating_add(earned).min(burst) - self.spent;
        self.counted = now;
        self.spent = 0;
        if self.credit >= 0 {
            if self.credit >= burst / 2 {
                self.over_since = None;
            }
            // Let other tasks run.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let counts = self.budgets.counts(self.kind);
        let since = *self.over_since.get_or_insert(now);
        if now - since >= allowance.patience {
            counts.disconnected.fetch_add(1, Ordering::Relaxed);
            return Poll::Ready(Err(BudgetExceeded(self.kind)));
        }
        counts.waits.fetch_add(1, Ordering::Relaxed);
        let deficit = nanos(allowance.turn) - self.credit;
        let wait = Duration::from_nanos(deficit.unsigned_abs()) * 1000 / allowance.share;
        let mut pause = Box::pin(sleep_until(now + wait));
        let paused = pause.as_mut().poll(cx).is_pending();
        debug_assert!(paused, "a pause is longer than zero");
        self.pause = Some(pause);
        Poll::Pending
    }

    /// Waits until more input of the peer may be processed.
    ///
    /// # Errors
    /// Returns an error if the peer exceeded its budget for too long.
    pub async fn ready(&mut self) -> Result<(), BudgetExceeded> {
        poll_fn(|cx| self.poll_ready(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;
    use std::task::Waker;
    use tokio::time::advance;

    const KIND: PeerKind = PeerKind::Viewer;

    fn poll(budget: &mut Budget) -> Poll<Result<(), BudgetExceeded>> {
        budget.poll_ready(&mut Context::from_waker(Waker::noop()))
    }

    /// Does work of this length as fast as the budget allows. Returns how long all of it
    /// took.
    async fn work(
        budget: &mut Budget,
        each: Duration,
        count: u32,
    ) -> Result<Duration, BudgetExceeded> {
        let started = Instant::now();
        for _ in 0..count {
            budget.ready().await?;
            budget.charge(each);
            advance(each).await;
        }
        Ok(started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_yields_after_each_turn() {
        let mut budget = Budgets::default().budget(KIND);
        let turn = KIND.allowance().turn;
        for _ in 0..5 {
            assert!(poll(&mut budget).is_ready());
            budget.charge(turn / 2);
            assert!(poll(&mut budget).is_ready());
            budget.charge(turn / 2);
            assert!(poll(&mut budget).is_pending(), "yields once");
        }
        budget.charge_bytes(36 * 1024);
        assert!(poll(&mut budget).is_ready(), "180 µs");
        budget.charge_messages(10);
        assert!(poll(&mut budget).is_pending());
        budget.charge_handle().charge(turn);
        assert!(poll(&mut budget).is_pending(), "charged via the tab");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_does_not_wait_and_work_beyond_it_does() {
        let budgets = Budgets::default();
        let mut budget = budgets.budget(KIND);
        let Allowance { burst, turn, .. } = *KIND.allowance();
        let took = work(
            &mut budget,
            turn,
            (burst.as_micros() / turn.as_micros()) as u32,
        )
        .await;
        assert!(took.expect("within patience") <= burst + turn);
        assert_eq!(budgets.counts(KIND).waits.load(Relaxed), 0);
        let more = work(&mut budget, turn, 1000)
            .await
            .expect("within patience");
        assert!(
            more >= turn * 900 * 1000 / KIND.allowance().share,
            "{more:?}"
        );
        assert!(budgets.counts(KIND).waits.load(Relaxed) > 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_stays_over_its_share_is_cut_off_and_one_that_pauses_is_not() {
        let budgets = Budgets::default();
        let Allowance { patience, turn, .. } = *KIND.allowance();
        let mut budget = budgets.budget(KIND);
        let started = Instant::now();
        let ended = work(&mut budget, turn, u32::MAX).await;
        assert_eq!(ended, Err(BudgetExceeded(KIND)));
        assert!(started.elapsed() >= patience && started.elapsed() < patience * 2);
        assert_eq!(budgets.counts(KIND).disconnected.load(Relaxed), 1);
        let message = BudgetExceeded(KIND).to_string();
        assert_eq!(
            message,
            "it has exceeded this hub's processing limit for one viewer for 10 s"
        );

        let mut budget = budgets.budget(KIND);
        for _ in 0..10 {
            work(&mut budget, turn, 2000).await.expect("it paused");
            advance(patience).await;
        }
    }

    #[test]
    fn overspent_is_found_among_the_causes_of_an_error() {
        let read = io::Error::other(BudgetExceeded(KIND));
        assert_eq!(BudgetExceeded::cause_of(&read), Some(BudgetExceeded(KIND)));
        let wrapped = io::Error::other(io::Error::other(BudgetExceeded(KIND)));
        assert_eq!(
            BudgetExceeded::cause_of(&wrapped),
            Some(BudgetExceeded(KIND))
        );
        let other = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(BudgetExceeded::cause_of(&other), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_within_its_share_never_waits() {
        let budgets = Budgets::default();
        for kind in PeerKind::ALL {
            let mut budget = budgets.budget(kind);
            let Allowance { share, turn, .. } = *kind.allowance();
            for _ in 0..20_000 {
                budget.ready().await.expect("within its share");
                budget.charge(turn);
                advance(turn * 1000 / share).await;
            }
            assert_eq!(budgets.counts(kind).waits.load(Relaxed), 0, "{kind:?}");
        }
    }
}
