//! The subscriptions of one viewer of the wall, with their credit, pace and turn.

use super::command::StreamOptions;
use crate::visitor::Visitor;
use ocelli_core::{Camera, Frame, Hub, Ready, Subscription, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// The most credit a camera can have.
const CREDIT_LIMIT: u32 = 8;
/// The slowest pace. Longer intervals would overflow time arithmetic.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// The id that means every camera.
const ALL: &str = "*";

/// One subscription.
struct Watch {
    camera: Arc<Camera>,
    subscription: Subscription,
    options: StreamOptions,
    interval: Option<Duration>,
    not_before: Instant,
}

/// All subscriptions of a viewer.
pub struct Watched {
    hub: Arc<Hub>,
    visitor: Visitor,
    ready: Arc<Ready>,
    watches: Vec<Option<Watch>>,
    tokens: BTreeMap<String, Token>,
    /// The wish for all cameras, including those added later.
    all: Option<StreamOptions>,
    /// Cameras that were unsubscribed by id while `all` is set.
    excluded: BTreeSet<String>,
    /// Cameras with a newer frame that their pace does not allow yet.
    due: BTreeSet<(Instant, Token)>,
    timer: Pin<Box<Sleep>>,
    /// Frames sent and dropped by subscriptions that ended.
    past: (u64, u64),
}

impl Watched {
    /// No subscriptions yet; the visitor determines what may be watched.
    pub fn new(hub: Arc<Hub>, visitor: Visitor) -> Self {
        Self {
            hub,
            visitor,
            ready: Arc::default(),
            watches: Vec::new(),
            tokens: BTreeMap::new(),
            all: None,
            excluded: BTreeSet::new(),
            due: BTreeSet::new(),
            timer: Box::pin(sleep_until(Instant::now())),
            past: (0, 0),
        }
    }

    /// The readiness that a direct write needs.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    fn visible(&self, id: &str) -> Option<Arc<Camera>> {
        let camera = self.hub.find_by_id(id)?;
        self.visitor.may_watch(camera.id()).then_some(camera)
    }

    /// Subscribes. Returns the ids that match no camera this viewer may see.
    pub fn subscribe(&mut self, ids: &BTreeSet<String>, options: StreamOptions) -> Vec<String> {
        let mut unknown = Vec::new();
        for id in ids {
            if id == ALL {
                self.all = Some(options);
                self.excluded.clear();
                // Cameras that are already subscribed get the new wish too.
                for camera in self.visitor.cameras() {
                    self.watch(camera, options);
                }
                continue;
            }
            match self.visible(id) {
                Some(camera) => {
                    self.excluded.remove(camera.id().as_str());
                    self.watch(camera, options);
                }
                None => unknown.push(id.clone()),
            }
        }
        unknown
    }

    /// Ends subscriptions. Ids that are not subscribed are ignored.
    pub fn unsubscribe(&mut self, ids: &BTreeSet<String>) {
        for id in ids {
            if id == ALL {
                self.all = None;
                let watched: Vec<_> = self.tokens.keys().cloned().collect();
                watched.iter().for_each(|id| self.end(id));
            } else if let Some(camera) = self.hub.find_by_id(id) {
                let id = camera.id().as_str();
                self.end(id);
                if self.all.is_some() {
                    self.excluded.insert(id.to_owned());
                }
            }
        }
    }

    /// Updates the subscriptions to the current cameras: with `*`, new cameras are added;
    /// removed cameras are dropped; if another camera has taken over an id, its pictures are sent
    /// from then on.
    pub fn follow_all(&mut self) {
        let watched = self.tokens.iter().filter_map(|(id, &token)| {
            let watch = self.watches[token].as_ref()?;
            let now = self.visible(id);
            let same = now
                .as_ref()
                .is_some_and(|now| Arc::ptr_eq(now, &watch.camera));
            (!same).then(|| (id.clone(), now, watch.options))
        });
        for (id, now, options) in watched.collect::<Vec<_>>() {
            match now {
                Some(camera) => self.watch(camera, options),
                None => self.end(&id),
            }
        }
        let Some(options) = self.all else { return };
        for camera in self.visitor.cameras() {
            let id = camera.id().as_str();
            if !self.tokens.contains_key(id) && !self.excluded.contains(id) {
                self.watch(camera, options);
            }
        }
    }

    fn watch(&mut self, camera: Arc<Camera>, options: StreamOptions) {
        let credit = options.credit.map(|credit| credit.min(CREDIT_LIMIT));
        let interval = options.max_fps.map(|fps| {
            let interval = Duration::try_from_secs_f64(1.0 / fps).unwrap_or(MAX_INTERVAL);
            interval.min(MAX_INTERVAL)
        });
        let direct = interval.is_none();
        if let Some(&token) = self.tokens.get(camera.id().as_str())
            && let Some(watch) = &mut self.watches[token]
            && watch.options.stream == options.stream
            && Arc::ptr_eq(&watch.camera, &camera)
        {
            watch.options = options;
            watch.interval = interval;
            watch.not_before = Instant::now();
            watch.subscription.allow_direct(direct);
            watch.subscription.set_credit(credit);
            return;
        }
        // The new subscription starts before the old one ends, so that a change of stream or camera
        // never stops an upstream in between.
        let free = self.watches.iter().position(Option::is_none);
        let token = free.unwrap_or(self.watches.len());
        let id = camera.id().as_str().to_owned();
        let mut subscription = camera.subscribe(options.stream.into(), self.ready.clone(), token);
        subscription.allow_direct(direct);
        subscription.set_credit(credit);
        let watch = Some(Watch {
            camera,
            subscription,
            options,
            interval,
            not_before: Instant::now(),
        });
        match self.watches.get_mut(token) {
            Some(slot) => *slot = watch,
            None => self.watches.push(watch),
        }
        self.end(&id);
        self.tokens.insert(id, token);
    }

    fn end(&mut self, id: &str) {
        let Some(token) = self.tokens.remove(id) else {
            return;
        };
        if let Some(watch) = self.watches[token].take() {
            self.past.0 += watch.subscription.taken();
            self.past.1 += watch.subscription.dropped();
        }
        self.due.retain(|&(_, due)| due != token);
    }

    /// Adds credit. Returns the ids that are not subscribed.
    pub fn add_credit(&mut self, add: &BTreeMap<String, u32>) -> Vec<String> {
        let mut unknown = Vec::new();
        for (id, &more) in add {
            // The id nearly always has the form that frames carry. Finding the camera by another
            // form costs more than sending its frame.
            let token = self.tokens.get(id).copied().or_else(|| {
                let camera = self.visible(id)?;
                self.tokens.get(camera.id().as_str()).copied()
            });
            let watch = token.and_then(|token| self.watches[token].as_mut());
            match watch {
                Some(watch) => watch.subscription.add_credit(more, CREDIT_LIMIT),
                None => unknown.push(id.clone()),
            }
        }
        unknown
    }

    /// Retries failed cameras at once. Returns the ids that match no camera.
    pub fn retry(&mut self, ids: &BTreeSet<String>) -> Vec<String> {
        let mut unknown = Vec::new();
        for id in ids {
            match self.visible(id) {
                Some(camera) => camera.retry(),
                None => unknown.push(id.clone()),
            }
        }
        unknown
    }

    /// The newest frame of the next camera in turn that has one for this viewer.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Frame> {
        self.enqueue_due(cx);
        loop {
            let Poll::Ready(token) = self.ready.poll_next(cx) else {
                return Poll::Pending;
            };
            if let Some(frame) = self.take(token, cx) {
                return Poll::Ready(frame);
            }
        }
    }

    fn take(&mut self, token: Token, cx: &mut Context<'_>) -> Option<Frame> {
        let watch = self.watches.get_mut(token)?.as_mut()?;
        if let Some(interval) = watch.interval {
            let now = Instant::now();
            if now < watch.not_before {
                self.due.insert((watch.not_before, token));
                self.enqueue_due(cx);
                return None;
            }
            let frame = watch.subscription.take()?;
            // Counted from the due time, so that the pace is right on average.
            watch.not_before = (watch.not_before + interval).max(now + interval / 2);
            return Some(frame);
        }
        watch.subscription.take()
    }

    /// Queues the cameras that are due, and sets the timer for the next one.
    fn enqueue_due(&mut self, cx: &mut Context<'_>) {
        loop {
            let Some(&(when, token)) = self.due.first() else {
                return;
            };
            if self.timer.deadline() != when {
                self.timer.as_mut().reset(when);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return;
            }
            self.due.pop_first();
            self.ready.enqueue(token);
        }
    }

    /// For each camera: its id, frames sent, frames dropped, and its number of viewers.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64, u64, usize)> {
        self.tokens.iter().filter_map(|(id, &token)| {
            let watch = self.watches[token].as_ref()?;
            let viewers = watch.camera.status().viewers;
            Some((
                id.as_str(),
                watch.subscription.taken(),
                watch.subscription.dropped(),
                viewers,
            ))
        })
    }

    /// Frames sent and dropped in total.
    pub fn totals(&self) -> (u64, u64) {
        self.counts().fold(self.past, |total, count| {
            (total.0 + count.1, total.1 + count.2)
        })
    }
}
