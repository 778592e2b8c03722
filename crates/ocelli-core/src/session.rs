//! Sessions at cameras: open ones and ending ones.
//!
//! Many cameras allow only one session. An attempt therefore waits until ended sessions at
//! the same peer are closed, whichever camera of the hub they belonged to: one that was
//! changed, deleted and added again, or tested. The registry is keyed by peer and not
//! passed from one upstream to the next, because a deleted camera has no successor, and a
//! test has no camera.
//!
//! The source ends its sessions itself ([`crate::Source::closed`]).

use crate::password_turns::PasswordTurns;
use crate::source::Source;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a session may take to end before another may begin at the same peer. An
/// unreachable camera never answers TEARDOWN.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum total wait of an attempt, however many sessions are ending at its peer.
const CLOSE_TIMEOUT_TOTAL: Duration = Duration::from_secs(6);

/// Where a source connects to. Its debug form shows only the peer.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    peer: String,
    stream: String,
    /// The user at this host, whose password is sent.
    account: Option<String>,
}

impl Endpoint {
    /// Creates an endpoint. `peer` is a host and port, or a device; `stream` is everything
    /// that distinguishes one stream there from another, including credentials.
    pub fn new(peer: impl Into<String>, stream: impl Into<String>) -> Self {
        Self {
            peer: peer.into(),
            stream: stream.into(),
            account: None,
        }
    }

    /// Adds the account that the source signs in with. Wrong passwords for it are sent at most
    /// once a second, over all cameras.
    #[must_use]
    pub fn with_account(mut self, host: &str, user: &str) -> Self {
        self.account = Some(format!("{user}\n{host}"));
        self
    }

    /// Returns the account.
    pub(crate) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Creates an endpoint that no other source connects to.
    pub(crate) fn unique() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // No host or path starts with this.
        Self::new(format!("\0{number}"), "")
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.peer)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Ending,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An attempt of a camera.
    Attempt,
    /// A test of a camera, which blocks other attempts.
    Hold,
}

struct Entry {
    kind: Kind,
    /// The camera's id; `None` for a test of a camera that is not in the hub.
    camera: Option<String>,
    stream: String,
    phase: watch::Sender<Phase>,
}

/// All sessions of a hub.
#[derive(Clone, Default)]
pub struct Sessions {
    peers: Arc<Mutex<HashMap<String, Vec<Arc<Entry>>>>>,
    turns: PasswordTurns,
    /// Whether these belong to a test. Holds block cameras, not tests.
    is_test: bool,
}

/// Why a camera can't be tested now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// The hub is connected to it.
    Connected,
    /// It is being tested already.
    Tested,
}

/// A session that an attempt must wait for.
struct Wait {
    phase: watch::Receiver<Phase>,
    kind: Kind,
}

impl Sessions {
    /// Returns the same sessions, for use by a test.
    pub(crate) fn for_test(&self) -> Self {
        Self {
            peers: self.peers.clone(),
            turns: self.turns.clone(),
            is_test: true,
        }
    }

    /// Returns the turns of attempts with a password.
    pub(crate) fn turns(&self) -> &PasswordTurns {
        &self.turns
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Entry>>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of attempts in progress at this peer.
    pub fn open_at(&self, endpoint: &Endpoint) -> usize {
        let peers = self.lock();
        let entries = peers.get(&endpoint.peer).map_or(&[][..], Vec::as_slice);
        let open = |entry: &&Arc<Entry>| entry.is(Kind::Attempt, Phase::Open);
        entries.iter().filter(open).count()
    }

    /// Opens a session for camera `id`, once no other session is ending at its peer.
    pub(crate) async fn open(&self, endpoint: &Endpoint, id: &str) -> Arc<Session> {
        let deadline = Instant::now() + CLOSE_TIMEOUT_TOTAL;
        loop {
            let late = Instant::now() >= deadline;
            let mut wait = match self.try_open(endpoint, id, late) {
                Ok(session) => return session,
                Err(wait) => wait,
            };
            let closed = wait.phase.wait_for(|phase| *phase == Phase::Closed);
            match wait.kind {
                // A test always ends by itself, so this wait needs no timeout.
                Kind::Hold => drop(closed.await),
                Kind::Attempt => drop(timeout_at(deadline, closed).await),
            }
        }
    }

    fn try_open(&self, endpoint: &Endpoint, id: &str, late: bool) -> Result<Arc<Session>, Wait> {
        let mut peers = self.lock();
        let entries = peers.entry(endpoint.peer.clone()).or_default();
        let blocks = |entry: &&Arc<Entry>| match entry.kind {
            Kind::Attempt => !late && entry.is(Kind::Attempt, Phase::Ending),
            Kind::Hold => !self.is_test && entry.is_for(Some(id), &endpoint.stream),
        };
        if let Some(entry) = entries.iter().find(blocks) {
            return Err(Wait {
                phase: entry.phase.subscribe(),
                kind: entry.kind,
            });
        }
        let entry = Entry::new(Kind::Attempt, Some(id), &endpoint.stream);
        entries.push(entry.clone());
        Ok(Arc::new(Session {
            sessions: self.clone(),
            peer: endpoint.peer.clone(),
            entry,
        }))
    }

    /// Blocks attempts at a camera during a test: those of the stream itself, and, if
    /// camera `id` will be changed, those of that camera at this peer.
    ///
    /// # Errors
    /// Returns an error if the hub is connected to that camera, or if it is being tested.
    pub fn hold(&self, endpoint: &Endpoint, id: Option<&str>) -> Result<Hold, Busy> {
        let mut peers = self.lock();
        let entries = peers.entry(endpoint.peer.clone()).or_default();
        for entry in entries.iter() {
            if entry.kind == Kind::Hold && entry.is_for(id, &endpoint.stream) {
                return Err(Busy::Tested);
            }
            if entry.is(Kind::Attempt, Phase::Open) && entry.is_for(id, &endpoint.stream) {
                return Err(Busy::Connected);
            }
        }
        let entry = Entry::new(Kind::Hold, id, &endpoint.stream);
        entries.push(entry.clone());
        Ok(Hold(Session {
            sessions: self.clone(),
            peer: endpoint.peer.clone(),
            entry,
        }))
    }
}

impl Entry {
    fn new(kind: Kind, camera: Option<&str>, stream: &str) -> Arc<Self> {
        Arc::new(Self {
            kind,
            camera: camera.map(str::to_owned),
            stream: stream.to_owned(),
            phase: watch::Sender::new(Phase::Open),
        })
    }

    fn is(&self, kind: Kind, phase: Phase) -> bool {
        self.kind == kind && *self.phase.borrow() == phase
    }

    /// Whether it belongs to this camera or to exactly this stream.
    fn is_for(&self, camera: Option<&str>, stream: &str) -> bool {
        self.stream == stream || (camera.is_some() && self.camera.as_deref() == camera)
    }
}

/// One session, from before it connects until it is completely closed.
pub(crate) struct Session {
    sessions: Sessions,
    peer: String,
    entry: Arc<Entry>,
}

impl Session {
    /// Marks the session as ending: from now on others wait for it to close.
    pub fn end(&self) {
        self.entry.phase.send_if_modified(|phase| {
            let open = *phase == Phase::Open;
            if open {
                *phase = Phase::Ending;
            }
            open
        });
    }

    /// Marks the session as closed.
    pub fn close(&self) {
        let mut peers = self.sessions.lock();
        if let Some(entries) = peers.get_mut(&self.peer) {
            entries.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
            if entries.is_empty() {
                peers.remove(&self.peer);
            }
        }
        drop(peers);
        self.entry.phase.send_replace(Phase::Closed);
    }
}

/// Blocks attempts at a camera during a test, until dropped.
pub struct Hold(Session);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Ends a session when dropped, and closes it once its source has disconnected. It is
/// dropped right after the attempt, on every path.
pub(crate) struct Ending {
    pub session: Arc<Session>,
    pub source: Arc<dyn Source>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.session.end();
        let closing = Closing(self.session.clone());
        let closed = self.source.clone().closed();
        // Without a runtime the process is ending.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // Dropped parts of the attempt may need a scheduler turn to close their
                // sockets.
                tokio::task::yield_now().await;
                let _ = timeout(CLOSE_TIMEOUT, closed).await;
                drop(closing);
            });
        }
    }
}

/// Ends a session immediately when dropped. The runtime drops the attempt itself only a
/// moment after it is aborted.
pub(crate) struct EndOnDrop(pub Arc<Session>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Closes a session when dropped, also when the runtime shuts down.
struct Closing(Arc<Session>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stream: &str) -> Endpoint {
        Endpoint::new("10.0.0.7:554", stream)
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_waits_only_for_sessions_that_are_ending_at_its_peer() {
        let sessions = Sessions::default();
        let first = sessions.open(&at("/1"), "one").await;
        // Another channel of the same recorder.
        let second = sessions.open(&at("/2"), "two").await;
        assert_eq!(sessions.open_at(&at("")), 2);
        first.end();
        let third = at("/3");
        let mut opening = std::pin::pin!(sessions.open(&third, "three"));
        let started = Instant::now();
        assert!(
            timeout(CLOSE_TIMEOUT, &mut opening).await.is_err(),
            "it waits"
        );
        first.close();
        let third = opening.await;
        assert_eq!(started.elapsed(), CLOSE_TIMEOUT);
        // The wait for a session that never closes is limited.
        second.end();
        sessions.open(&at("/2"), "two").await.close();
        assert_eq!(started.elapsed(), CLOSE_TIMEOUT + CLOSE_TIMEOUT_TOTAL);
        third.close();
        second.close();
        assert!(sessions.lock().is_empty(), "no entries remain");
    }

    #[tokio::test(start_paused = true)]
    async fn a_test_and_a_camera_block_each_other() {
        let sessions = Sessions::default();
        let watched = sessions.open(&at("/1"), "door").await;
        let hold = |stream, camera| sessions.hold(&at(stream), camera).map(|_| ());
        assert_eq!(hold("/1", None), Err(Busy::Connected));
        assert_eq!(hold("/2", Some("door")), Err(Busy::Connected));
        // Another channel, which may or may not be the same camera.
        assert_eq!(hold("/2", None), Ok(()));
        watched.end();
        watched.close();
        let held = sessions.hold(&at("/2"), Some("door")).expect("it is free");
        assert_eq!(hold("/3", Some("door")), Err(Busy::Tested));
        let (first, second) = (at("/1"), at("/2"));
        let mut opening = std::pin::pin!(sessions.open(&first, "door"));
        let mut added = std::pin::pin!(sessions.open(&second, "another"));
        assert!(timeout(CLOSE_TIMEOUT * 9, &mut opening).await.is_err());
        assert!(timeout(CLOSE_TIMEOUT * 9, &mut added).await.is_err());
        // The test itself may connect.
        sessions.for_test().open(&second, "door").await.close();
        drop(held);
        opening.await.close();
        added.await.close();
    }
}
