//! One device's session: from the `ready` message to the end.
//!
//! Nothing is queued: each message is checked, published and dropped before the next one is
//! read, so a device that sends faster than the hub reads is held back by TCP.

use super::Refusal;
use super::admission::Admission;
use super::bucket::Bucket;
use super::devices::{Device, Ingest, Report};
use crate::store::{keys, streams};
use bytes::Bytes;
use ocelli_core::text::is_control;
use ocelli_core::{App, IngestLimits};
use ocelli_media::jpeg;
use ocelli_net::websocket::{End, Incoming, Socket};
use serde_json::{Map, Value};
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tokio_websockets::Message;

/// This many messages in a row that are not JPEGs end a connection.
const NOT_JPEG_LIMIT: u32 = 10;
/// The most values in a statistics message, and the longest name of a value.
const STATS_FIELDS: usize = 16;
const STATS_NAME: usize = 64;
/// How often a device's statistics are written to the store.
const STATS_INTERVAL: Duration = Duration::from_secs(10);
/// How often limits and idle devices are checked.
const TICK: Duration = Duration::from_secs(1);
/// How often the key is looked up again, because another process may have revoked it.
const RECHECK: Duration = Duration::from_secs(20);
/// How long a device may take to read the reason for its close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The same while the hub stops.
const STOP_CLOSE_TIMEOUT: Duration = Duration::from_millis(400);
/// The pause between the response to the upgrade and `ready`. Some client libraries read the
/// socket once for the response, and lose everything that arrives in the same read.
const READY_PAUSE: Duration = Duration::from_millis(150);
/// How often `ready` is sent again until the device's first message, because the first one may
/// have been lost anyway.
const READY_AGAIN: Duration = Duration::from_secs(1);

/// Sends the reason to a device and closes the connection.
pub(super) async fn refuse_device(socket: Socket, refusal: &Refusal) {
    let (code, error_code) = (refusal.code, refusal.error_code);
    socket
        .refuse(refusal.text(), code, error_code, CLOSE_TIMEOUT)
        .await;
}

/// A device's session.
pub(super) struct Session {
    ingest: Arc<Ingest>,
    socket: Socket,
    admission: Admission,
    app: Option<Arc<App>>,
    bucket: Bucket,
    /// When the last JPEG arrived, or the start of the session.
    last: Instant,
    not_jpeg: u32,
    stats_saved: Option<Instant>,
    checked: Instant,
    tick: Pin<Box<Sleep>>,
    /// Due when `ready` must be sent.
    announcement: Pin<Box<Sleep>>,
    phase: Phase,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// How a session ended.
pub(super) enum SessionEnd {
    /// The connection ended.
    Ended(End),
    /// The hub stops.
    Stopping,
    /// The hub ended the session.
    Refused(Refusal),
}

impl SessionEnd {
    /// The reason, for the log and for the stream's row.
    pub(super) fn reason(&self) -> String {
        match self {
            SessionEnd::Ended(end) => end.to_string(),
            SessionEnd::Stopping => "the hub is stopping".to_owned(),
            SessionEnd::Refused(refusal) => refusal.to_string(),
        }
    }

    /// Returns true for an error, which is shown as the camera's failure until pictures arrive
    /// again.
    fn is_fault(&self) -> bool {
        match self {
            SessionEnd::Ended(end) => !end.is_regular(),
            SessionEnd::Stopping => false,
            SessionEnd::Refused(refusal) => refusal.is_fault(),
        }
    }
}

/// The device's progress.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It was not sent `ready`. What it sends is discarded.
    Early,
    /// It was sent `ready`, and has sent nothing since.
    Announced,
    /// It has received `ready`.
    Sending,
}

/// The next event of a session.
enum Event {
    Received(Incoming),
    Announce,
    Evicted(Refusal),
    Tick,
    Stopping,
}

impl Session {
    pub(super) fn new(ingest: &Arc<Ingest>, socket: Socket, admission: Admission) -> Self {
        let now = Instant::now();
        let app = ingest.identity.hub.app(admission.device.camera.app());
        let limits = app.as_ref().map(|app| app.ingest).unwrap_or_default();
        Self {
            ingest: ingest.clone(),
            socket,
            app,
            bucket: Bucket::new(limits.max_fps, now),
            last: now,
            not_jpeg: 0,
            stats_saved: None,
            checked: now,
            tick: Box::pin(sleep_until(now + TICK.min(limits.idle_timeout))),
            announcement: Box::pin(sleep_until(now + READY_PAUSE)),
            phase: Phase::Early,
            stopped: Box::pin(
                ingest
                    .identity
                    .server_state
                    .stopping
                    .clone()
                    .cancelled_owned(),
            ),
            admission,
        }
    }

    fn limits(&self) -> IngestLimits {
        self.app.as_ref().map(|app| app.ingest).unwrap_or_default()
    }

    /// Runs the session until it ends.
    pub(super) async fn run(&mut self) -> SessionEnd {
        loop {
            let event = self.next().await;
            if let Event::Received(Incoming::Binary(_) | Incoming::Text(_)) = event {
                match self.phase {
                    Phase::Early => continue,
                    Phase::Announced => self.phase = Phase::Sending,
                    Phase::Sending => {}
                }
            }
            match event {
                Event::Announce => self.announce(),
                Event::Received(Incoming::Binary(message)) => {
                    if let Err(refusal) = self.handle_picture(&message) {
                        return SessionEnd::Refused(refusal);
                    }
                }
                Event::Received(Incoming::Text(text)) => self.handle_text(&text),
                Event::Received(Incoming::TooLong) => return self.too_large(),
                Event::Received(Incoming::Closed) => return self.end_reason(),
                Event::Evicted(refusal) => return SessionEnd::Refused(refusal),
                Event::Tick => {
                    if let Err(refusal) = self.check() {
                        return SessionEnd::Refused(refusal);
                    }
                }
                Event::Stopping => return SessionEnd::Stopping,
            }
        }
    }

    pub(super) fn too_large(&self) -> SessionEnd {
        SessionEnd::Refused(Refusal::frame_too_large(self.limits().max_frame_bytes()))
    }

    /// The end of a session whose socket has ended.
    pub(super) fn end_reason(&self) -> SessionEnd {
        match self.socket.end() {
            Some(End::Fault(fault)) => SessionEnd::Refused(Refusal::protocol(*fault)),
            Some(End::Unanswered(pings)) => SessionEnd::Refused(Refusal::no_pong(*pings)),
            Some(end) => SessionEnd::Ended(end.clone()),
            None => SessionEnd::Ended(End::Cut),
        }
    }

    /// Releases the camera and sends the reason to the device if it is still connected.
    pub(super) async fn finish(mut self, end_reason: SessionEnd) {
        let left = self.release(&end_reason);
        match end_reason {
            SessionEnd::Refused(refusal) => {
                tokio::join!(left, refuse_device(self.socket, &refusal));
            }
            SessionEnd::Ended(_) | SessionEnd::Stopping => {
                // Has no effect if the device has already disconnected.
                self.socket.close(1001, "the hub is stopping");
                tokio::join!(left, self.socket.finish(STOP_CLOSE_TIMEOUT));
            }
        }
    }

    /// Sends `ready` and sets the time for the next one.
    fn announce(&mut self) {
        if !self.socket.is_idle() {
            let soon = Instant::now() + READY_PAUSE;
            return self.announcement.as_mut().reset(soon);
        }
        let again = Instant::now() + READY_AGAIN;
        self.announcement.as_mut().reset(again);
        self.phase = Phase::Announced;
        let (limits, device) = (self.limits(), &self.admission.device);
        // Names need no escaping. The fields keep this order, because boards may use very simple
        // parsers.
        let ready = format!(
            r#"{{"type":"ready","room":"{}","streamId":"{}","maxFps":{},"maxFrameBytes":{},"idleTimeoutSec":{}}}"#,
            device.camera.full_room(),
            device.stream_id,
            limits.max_fps,
            limits.max_frame_bytes(),
            limits.idle_timeout.as_secs(),
        );
        self.socket.send(Message::text(ready));
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            biased;
            refusal = &mut self.admission.evicted => match refusal {
                Ok(refusal) => Event::Evicted(refusal),
                Err(_) => Event::Stopping,
            },
            () = &mut self.stopped => Event::Stopping,
            () = &mut self.tick => Event::Tick,
            () = &mut self.announcement, if self.phase != Phase::Sending => Event::Announce,
            received = poll_fn(|cx| self.socket.poll(cx)) => Event::Received(received),
        }
    }

    /// Checks a binary message, and publishes it if it is a JPEG within the limits.
    fn handle_picture(&mut self, message: &Bytes) -> Result<(), Refusal> {
        let limit = self.limits().max_frame_bytes();
        if message.len() > limit {
            return Err(Refusal::frame_too_large(limit));
        }
        let picture = match jpeg::picture(message) {
            Ok(picture) => picture,
            Err(flaw) => return self.count_rejected(flaw),
        };
        let (width, height) = picture.size.unwrap_or_default();
        let checked = self
            .ingest
            .identity
            .hub
            .capacity()
            .check((width.into(), height.into()));
        if let Err(too_large) = checked {
            return self.count_rejected(too_large);
        }
        let counts = &self.admission.device.counts;
        self.not_jpeg = 0;
        let now = Instant::now();
        self.last = now;
        if !self.bucket.take(now) {
            counts.above_rate.fetch_add(1, Relaxed);
            return Ok(());
        }
        if self
            .admission
            .source
            .publish(&self.admission.device, picture)
        {
            counts.shown.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Counts a message that is not a whole JPEG, or whose JPEG the hub does not accept, for
    /// this reason.
    fn count_rejected(&mut self, reason: impl Display) -> Result<(), Refusal> {
        self.admission.device.counts.not_jpeg.fetch_add(1, Relaxed);
        self.not_jpeg += 1;
        match self.not_jpeg {
            NOT_JPEG_LIMIT.. => Err(Refusal::not_jpeg(self.not_jpeg, reason)),
            _ => Ok(()),
        }
    }

    /// Handles a text message: reads statistics and ignores everything else.
    fn handle_text(&mut self, text: &str) {
        let Some(numbers) = read_stats(text) else {
            return self.ingest.identity.server_state.ignore(1);
        };
        let device = &self.admission.device;
        let fields = numbers
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
            .collect();
        let stats = Value::Object(numbers).to_string();
        device.set_stats(stats.clone());
        // An error only means that there is no receiver.
        let _ = self.ingest.reports.send(Report {
            camera: device.camera.clone(),
            received: self.ingest.identity.hub.clock().now(),
            fields,
        });
        let now = Instant::now();
        if self
            .stats_saved
            .is_none_or(|kept| now - kept >= STATS_INTERVAL)
        {
            self.stats_saved = Some(now);
            let (identity, row) = (self.ingest.identity.clone(), device.row);
            self.ingest.identity.server_state.tasks.spawn(async move {
                let save = move |connection: &mut _| streams::set_stats(connection, row, &stats);
                // The store has logged the error. The end of the stream writes the statistics
                // again.
                let _ = identity.store.call(save).await;
            });
        }
    }

    /// Makes the checks that are due once a second.
    fn check(&mut self) -> Result<(), Refusal> {
        self.apply_limits()?;
        let now = Instant::now();
        let timeout = self.limits().idle_timeout;
        let quiet = now - self.last;
        if quiet >= timeout {
            return Err(Refusal::idle(timeout.as_secs()));
        }
        let admission = &self.admission;
        admission.source.note_silence(&admission.device, quiet);
        if now - self.checked >= RECHECK {
            self.checked = now;
            self.check_key();
        }
        let next = (now + TICK).min(self.last + timeout);
        self.tick.as_mut().reset(next);
        Ok(())
    }

    /// Checks in the background that the key still exists, so that frames don't wait for the
    /// store.
    fn check_key(&self) {
        let (identity, device) = (self.ingest.identity.clone(), self.admission.device.clone());
        self.ingest.identity.server_state.tasks.spawn(async move {
            let key = device.key.clone();
            let exists = move |connection: &mut _| keys::exists(connection, &key);
            if let Ok(false) = identity.store.call(exists).await {
                device.evict(Refusal::invalid_key("the key was revoked"));
            }
        });
    }

    /// Applies the app's current limits.
    fn apply_limits(&mut self) -> Result<(), Refusal> {
        let name = self.admission.device.camera.app();
        let app = self.ingest.identity.hub.app(name);
        let Some(now) = &app else {
            return Err(Refusal::invalid_key(format!("there is no app {name:?}")));
        };
        let limits = now.ingest;
        let same = self
            .app
            .as_ref()
            .is_some_and(|before| Arc::ptr_eq(before, now) || before.ingest == limits);
        if same {
            return Ok(());
        }
        if !limits.enabled {
            let message = format!("pushing is no longer enabled in app {name:?}");
            return Err(Refusal::not_enabled(message));
        }
        let most = limits.max_cameras as usize;
        let own = self.admission.device.order;
        if most > 0 {
            let devices = self.ingest.devices(name);
            let earlier = devices.iter().filter(|device| device.order < own);
            if earlier.count() >= most {
                let message = format!(
                    "app {name:?} now allows {most} devices, and this device connected after them"
                );
                return Err(Refusal::quota_exceeded(message));
            }
        }
        self.socket.set_limit(limits.max_frame_bytes());
        self.bucket.set_rate(limits.max_fps, Instant::now());
        self.app = app;
        Ok(())
    }

    /// Releases the camera, unless another device has already taken it over, and ends the
    /// stream.
    fn release(&self, end_reason: &SessionEnd) -> impl Future<Output = ()> + use<> {
        let (identity, source) = (self.ingest.identity.clone(), self.admission.source.clone());
        let device: Arc<Device> = self.admission.device.clone();
        let (reason, is_fault) = (end_reason.reason(), end_reason.is_fault());
        async move {
            let now = identity.now();
            let fault = is_fault.then(|| reason.clone());
            let release =
                move |connection: &mut _| match source.disconnect(&device, fault.as_deref()) {
                    true => {
                        let stats = device.stats();
                        streams::end(connection, device.row, now, stats.as_deref(), &reason)
                    }
                    false => Ok(()),
                };
            // The store has logged the error. The next start ends the stream.
            let _ = identity.store.call(release).await;
        }
    }
}

/// Parses `{"type":"stats", …}`. Returns its numbers by name.
pub fn read_stats(text: &str) -> Option<Map<String, Value>> {
    let mut message: Map<String, Value> = serde_json::from_str(text).ok()?;
    if message.get("type")? != "stats" {
        return None;
    }
    message.retain(|name, value| value.is_number() && !name.contains(is_control));
    let fits = message.len() <= STATS_FIELDS && message.keys().all(|name| name.len() <= STATS_NAME);
    fits.then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_numbers_by_name() {
        let told = r#"{"type":"stats","fps":12,"rssi":-61,"note":"x","heapFree":41232}"#;
        let fields = read_stats(told).expect("stats");
        assert_eq!(
            Value::Object(fields).to_string(),
            r#"{"fps":12,"heapFree":41232,"rssi":-61}"#
        );
        let many = |count| {
            let fields: Vec<_> = (0..count).map(|at| format!("\"f{at}\":{at}")).collect();
            format!("{{\"type\":\"stats\",{}}}", fields.join(","))
        };
        assert_eq!(read_stats(&many(16)).expect("stats").len(), 16);
        for bad in [
            &many(17),
            "",
            "[]",
            "{",
            r#"{"type":"hello","fps":1}"#,
            r#"{"fps":1}"#,
            &format!(r#"{{"type":"stats","{}":1}}"#, "x".repeat(65)),
        ] {
            assert_eq!(read_stats(bad), None, "{bad}");
        }
    }
}
