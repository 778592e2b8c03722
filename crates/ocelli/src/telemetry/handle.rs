//! The telemetry thread, and the handle to it.

use super::shared::{Health, Shared, now};
use super::{sources, store};
use ocelli_series::cursor::Piece;
use ocelli_series::{Bounds, Cursor, Registry};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

/// How long storing the last samples may take when the hub stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Capacity of the channel for the hub's own samples; further samples are dropped.
const CHANNEL_CAPACITY: usize = 4096;
/// How often old samples are deleted.
const SWEEP: Duration = Duration::from_secs(1);

/// The telemetry thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the hub is stopping, and its telemetry with it")
    }
}

impl std::error::Error for Stopped {}

/// One of the hub's own samples.
struct HubSample {
    name: String,
    unit: Option<&'static str>,
    x: f64,
    y: f64,
}

/// Handle to the telemetry thread. The thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct Telemetry {
    pub(super) shared: Arc<Shared>,
    pub(super) runtime: Handle,
    hub_samples_sender: mpsc::Sender<HubSample>,
    stopping: CancellationToken,
    ended: watch::Receiver<bool>,
    _guard: Arc<DropGuard>,
}

impl Telemetry {
    /// Starts the thread, with the series stored in the data directory if one is given. Without
    /// a data directory, or if its file can't be used, series last until the hub ends.
    ///
    /// # Panics
    /// If the system can't create a thread.
    pub fn start(bounds: Bounds, data: Option<&Path>) -> Self {
        let shared = Arc::new(Shared {
            registry: Mutex::new(Registry::new(bounds)),
            health: Mutex::default(),
            changes: watch::Sender::new(()),
            all_series_viewers: AtomicUsize::new(0),
            connected: AtomicUsize::new(0),
            max_connected: sources::max_connected(),
            dropped: AtomicU64::new(0),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap_or_else(|error| panic!("can't create the runtime for telemetry: {error}"));
        let handle = runtime.handle().clone();
        let (hub_samples_sender, own_samples) = mpsc::channel(CHANNEL_CAPACITY);
        let (end, ended) = watch::channel(false);
        let stopping = CancellationToken::new();
        let (data, thread_shared, stopped) =
            (data.map(Path::to_owned), shared.clone(), stopping.clone());
        let body = move || {
            // Sources wait in the listener's queue until the stored series are loaded.
            let store = data.and_then(|data| store::open(&data, &thread_shared));
            runtime.block_on(async {
                tokio::spawn(store_hub_samples(thread_shared.clone(), own_samples));
                tokio::spawn(sweep(thread_shared.clone()));
                let saving =
                    store.map(|store| tokio::spawn(store.run(thread_shared, stopped.clone())));
                stopped.cancelled().await;
                if let Some(saving) = saving {
                    // The last samples are stored, within a time limit in case the disk hangs.
                    if tokio::time::timeout(CLOSE_TIMEOUT, saving).await.is_err() {
                        tracing::warn!(
                            "telemetry: the disk did not store the last samples within {} s; \
                             {} may be incomplete. Keep it together with the file beside it \
                             that ends in -wal",
                            CLOSE_TIMEOUT.as_secs(),
                            store::FILE
                        );
                    }
                }
            });
            runtime.shutdown_background();
            end.send_replace(true);
        };
        let thread = std::thread::Builder::new().name("telemetry".to_owned());
        thread
            .spawn(body)
            .unwrap_or_else(|error| panic!("can't create the thread for telemetry: {error}"));
        Self {
            shared,
            runtime: handle,
            hub_samples_sender,
            _guard: Arc::new(stopping.clone().drop_guard()),
            stopping,
            ended,
        }
    }

    /// Ends the thread after the samples received so far are stored.
    pub async fn stop(&self) {
        self.stopping.cancel();
        let mut ended = self.ended.clone();
        let _ = tokio::time::timeout(2 * CLOSE_TIMEOUT, ended.wait_for(|ended| *ended)).await;
    }

    /// Adds one sample to the series of this name, and creates the series if it does not exist.
    /// Never waits or fails: a sample that does not fit is dropped and counted.
    pub fn add(&self, name: impl Into<String>, x: f64, y: f64) {
        self.add_measured(name, None, x, y);
    }

    /// Like [`Telemetry::add`], with the unit of y.
    pub fn add_measured(
        &self,
        name: impl Into<String>,
        unit: Option<&'static str>,
        x: f64,
        y: f64,
    ) {
        let name = name.into();
        let good = x.is_finite() && y.is_finite();
        if !good
            || self
                .hub_samples_sender
                .try_send(HubSample { name, unit, x, y })
                .is_err()
        {
            self.count_dropped(1);
        }
    }

    /// Counts dropped samples of the hub.
    pub(super) fn count_dropped(&self, count: u64) {
        self.shared.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// The number of the hub's own samples that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// The number of sources connected over TCP.
    pub fn connected(&self) -> usize {
        self.shared.connected.load(Ordering::Relaxed)
    }

    /// The state of the ports and of the file.
    pub fn health(&self) -> Health {
        self.shared.health().clone()
    }

    /// Runs `job` with the series on the telemetry thread, then wakes viewers.
    ///
    /// # Errors
    /// Returns an error if the thread has ended.
    pub async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Registry) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let shared = self.shared.clone();
        let (result_sender, result) = oneshot::channel();
        self.runtime.spawn(async move {
            let done = job(&mut shared.registry());
            shared.wake_viewers();
            let _ = result_sender.send(done);
        });
        result.await.map_err(|_| Stopped)
    }

    /// Makes the next piece of a viewer's message on the telemetry thread. A batch is made only
    /// when there is something new. Dropping the handle cancels it.
    pub(super) fn piece(
        &self,
        mut cursor: Cursor,
        wanted: Next,
    ) -> AbortOnDropHandle<(Cursor, Option<Piece>)> {
        let (shared, mut changes) = (self.shared.clone(), self.shared.changes.subscribe());
        AbortOnDropHandle::new(self.runtime.spawn(async move {
            match wanted {
                Next::History => cursor.begin_history(&mut shared.registry()),
                Next::Batch => loop {
                    changes.mark_unchanged();
                    if cursor.begin_batch(&mut shared.registry()) {
                        break;
                    }
                    // `shared` holds the sender, so this can't fail.
                    let _ = changes.changed().await;
                },
                Next::Continue => {}
            }
            let piece = cursor.piece(&shared.registry());
            (cursor, piece)
        }))
    }
}

/// The next part of the data for a viewer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The first piece of the history.
    History,
    /// The first piece of a batch.
    Batch,
    /// The next piece of the current message.
    Continue,
}

/// Adds the hub's own samples to their series.
async fn store_hub_samples(shared: Arc<Shared>, mut samples: mpsc::Receiver<HubSample>) {
    while let Some(sample) = samples.recv().await {
        let now = now();
        let mut registry = shared.registry();
        let opened = ocelli_series::line::name(sample.name.as_bytes())
            .is_ok()
            .then(|| registry.open(&sample.name, false));
        let Some(Ok(id)) = opened else {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        // The series existed a moment ago.
        if sample.unit.is_some() && registry.get(id).is_ok_and(|series| series.unit().is_none()) {
            let _ = registry.set_unit(id, sample.unit);
        }
        let _ = registry.append(id, &[(sample.x, sample.y)], now);
        drop(registry);
        shared.wake_viewers();
    }
}

/// Deletes samples that are too old, periodically.
async fn sweep(shared: Arc<Shared>) {
    let mut due = tokio::time::interval(SWEEP);
    loop {
        due.tick().await;
        shared.registry().sweep(now());
    }
}
