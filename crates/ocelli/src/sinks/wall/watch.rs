//! The subscriptions of one viewer of the wall, with their credit, pace and turn.

use super::command::{ALL, StreamOptions};
use super::sound::Sound;
use crate::visitor::Visitor;
use ocelli_core::{Camera, CameraSubscription, Delivery, Frame, Hub, Ready, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// The slowest pace. Longer intervals would overflow time arithmetic.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// The token of the sound, which no camera has.
const SOUND: Token = 0;

/// What a viewer was sent of a camera.
pub struct Counts {
    /// Frames sent.
    pub sent: u64,
    /// Frames superseded before they could be sent.
    pub dropped: u64,
    /// Number of viewers of the camera.
    pub viewers: usize,
    /// Whether the viewer fell too far behind in a group since the last call.
    pub lagging: bool,
}

/// One subscription.
struct Watch {
    camera: Arc<Camera>,
    subscription: CameraSubscription,
    /// The subscription with the former options. It continues until the new one has a picture, so
    /// that the viewer sees no gap, and keeps a picture if the camera refuses another session.
    former: Option<CameraSubscription>,
    options: StreamOptions,
    interval: Option<Duration>,
    not_before: Instant,
}

impl Watch {
    fn new(camera: Arc<Camera>, options: StreamOptions, ready: Arc<Ready>, token: Token) -> Self {
        let interval = interval(options);
        let delivery = delivery(options);
        Self {
            subscription: camera.subscribe(options.stream.into(), delivery, ready, token),
            camera,
            former: None,
            options,
            interval,
            not_before: Instant::now(),
        }
    }

    /// Changes the options. Returns the subscriptions that ended.
    fn change(
        &mut self,
        options: StreamOptions,
        ready: Arc<Ready>,
        token: Token,
    ) -> Vec<CameraSubscription> {
        let delivery = delivery(options);
        let before = std::mem::replace(&mut self.options, options);
        self.interval = interval(options);
        self.not_before = Instant::now();
        if before.stream == options.stream && self.subscription.suits(options.codecs) {
            self.subscription.change(delivery);
            if let Some(former) = &mut self.former {
                former.change(delivery);
                self.subscription.set_credit(None);
            }
            return Vec::new();
        }
        let new = self
            .camera
            .subscribe(options.stream.into(), delivery, ready, token);
        let old = std::mem::replace(&mut self.subscription, new);
        // The one that has pictures continues, if the viewer can still decode them.
        let all = [Some(old), self.former.take()].into_iter().flatten();
        let (mut kept, mut ended): (Vec<_>, Vec<_>) =
            all.partition(|each| each.taken() > 0 && each.is_decodable_by(options.codecs));
        ended.extend(kept.drain(1.min(kept.len())..));
        if let Some(mut former) = kept.pop() {
            // Until then the credit is that of the former one.
            former.change(delivery);
            self.subscription.set_credit(None);
            self.former = Some(former);
        } else if ended.iter().any(|each| each.taken() > 0) {
            self.subscription.mark_switched();
        }
        ended
    }
}

/// The shortest time between two JPEGs, if the viewer asked for a pace.
fn interval(options: StreamOptions) -> Option<Duration> {
    let fps = options.max_fps?;
    let interval = Duration::try_from_secs_f64(1.0 / fps).unwrap_or(MAX_INTERVAL);
    Some(interval.min(MAX_INTERVAL))
}

fn delivery(options: StreamOptions) -> Delivery {
    Delivery {
        decodable: options.codecs,
        only_key_frames: options.key_only,
        credit: options.credit,
        direct_jpeg: options.max_fps.is_none(),
    }
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
    /// The sound of one of the cameras.
    pub sound: Sound,
}

impl Watched {
    /// No subscriptions yet; the visitor determines what may be watched.
    pub fn new(hub: Arc<Hub>, visitor: Visitor) -> Self {
        Self {
            hub,
            visitor,
            ready: Arc::default(),
            // The first token is that of the sound.
            watches: vec![None],
            tokens: BTreeMap::new(),
            all: None,
            excluded: BTreeSet::new(),
            due: BTreeSet::new(),
            timer: Box::pin(sleep_until(Instant::now())),
            past: (0, 0),
            sound: Sound::default(),
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
                    self.sound.end(camera.id().as_str());
                    self.watch(camera, options);
                }
                continue;
            }
            match self.visible(id) {
                Some(camera) => {
                    self.excluded.remove(camera.id().as_str());
                    self.watch(camera.clone(), options);
                    match options.sound {
                        true => self.sound.start(camera, &self.ready, SOUND),
                        false => self.sound.end(camera.id().as_str()),
                    }
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
                for id in &watched {
                    self.sound.end(id);
                    self.end(id);
                }
            } else if let Some(camera) = self.hub.find_by_id(id) {
                let id = camera.id().as_str();
                self.sound.end(id);
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
            (!same).then(|| {
                // The viewer is not told, so what it has granted stays.
                let sending = watch.former.as_ref().unwrap_or(&watch.subscription);
                let options = StreamOptions {
                    credit: sending.credit(),
                    ..watch.options
                };
                (id.clone(), now, options)
            })
        });
        for (id, now, options) in watched.collect::<Vec<_>>() {
            match now {
                Some(camera) => {
                    if self.sound.id() == Some(&*id) {
                        self.sound.start(camera.clone(), &self.ready, SOUND);
                    }
                    self.watch(camera, options);
                }
                None => {
                    self.sound.end(&id);
                    self.end(&id);
                }
            }
        }
        self.sound.follow(&self.ready, SOUND);
        for watch in self.watches.iter_mut().flatten() {
            watch.subscription.follow_camera();
            if let Some(former) = &mut watch.former {
                former.follow_camera();
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
        let id = camera.id().as_str().to_owned();
        let ready = self.ready.clone();
        let current = self.tokens.get(&id).copied();
        if let Some(token) = current
            && let Some(watch) = &mut self.watches[token]
            && Arc::ptr_eq(&watch.camera, &camera)
        {
            let ended = watch.change(options, ready, token);
            ended.iter().for_each(|each| self.count(each));
            return;
        }
        // The new subscription starts before the old one ends, so that a change of camera never
        // stops an upstream in between.
        let mut places = self.watches.iter().enumerate().skip(SOUND + 1);
        let free = places.find(|(_, watch)| watch.is_none());
        let token = free.map_or(self.watches.len(), |(token, _)| token);
        let mut watch = Watch::new(camera, options, ready, token);
        if current.is_some() {
            watch.subscription.mark_switched();
        }
        match self.watches.get_mut(token) {
            Some(slot) => *slot = Some(watch),
            None => self.watches.push(Some(watch)),
        }
        self.end(&id);
        self.tokens.insert(id, token);
    }

    fn end(&mut self, id: &str) {
        let Some(token) = self.tokens.remove(id) else {
            return;
        };
        if let Some(watch) = self.watches[token].take() {
            self.count(&watch.subscription);
            watch.former.iter().for_each(|former| self.count(former));
        }
        self.due.retain(|&(_, due)| due != token);
    }

    /// Counts the frames of a subscription that ends.
    fn count(&mut self, ended: &CameraSubscription) {
        self.past.0 += ended.taken();
        self.past.1 += ended.dropped();
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
                Some(Watch {
                    former: Some(former),
                    ..
                }) => {
                    former.add_credit(more);
                    // The new subscription may have waited for credit too.
                    token
                        .into_iter()
                        .for_each(|token| self.ready.enqueue(token));
                }
                Some(watch) => watch.subscription.add_credit(more),
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
        let Some(interval) = watch.interval.filter(|_| !watch.subscription.is_native()) else {
            return self.take_from(token);
        };
        let now = Instant::now();
        if now < watch.not_before {
            self.due.insert((watch.not_before, token));
            self.enqueue_due(cx);
            return None;
        }
        // Counted from the due time, so that the pace is right on average.
        let next = (watch.not_before + interval).max(now + interval / 2);
        let frame = self.take_from(token)?;
        if let Some(Some(watch)) = self.watches.get_mut(token) {
            watch.not_before = next;
        }
        Some(frame)
    }

    /// Takes a frame from the subscription, or from the former one until then.
    fn take_from(&mut self, token: Token) -> Option<Frame> {
        let watch = self.watches.get_mut(token)?.as_mut()?;
        let Some(former) = &mut watch.former else {
            return watch.subscription.take();
        };
        let credit = former.credit();
        if credit == Some(0) {
            return None;
        }
        let Some(mut frame) = watch.subscription.take() else {
            return former.take();
        };
        frame.discontinuity = true;
        let left = credit.map(|credit| credit.saturating_sub(1));
        watch.subscription.set_credit(left);
        if let Some(former) = watch.former.take() {
            self.count(&former);
        }
        Some(frame)
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

    /// The counts of each camera, by id.
    pub fn counts(&mut self) -> impl Iterator<Item = (&str, Counts)> {
        let watches = &mut self.watches;
        self.tokens.iter().filter_map(|(id, &token)| {
            let watch = watches[token].as_mut()?;
            let mut counts = Counts {
                sent: watch.subscription.taken(),
                dropped: watch.subscription.dropped(),
                viewers: watch.camera.status().viewers,
                lagging: watch.subscription.has_lagged(),
            };
            if let Some(former) = &mut watch.former {
                counts.sent += former.taken();
                counts.dropped += former.dropped();
                counts.lagging |= former.has_lagged();
            }
            Some((id.as_str(), counts))
        })
    }

    /// Frames sent and dropped in total.
    pub fn totals(&self) -> (u64, u64) {
        let watches = self.watches.iter().flatten();
        let parts = watches.flat_map(|watch| watch.former.iter().chain([&watch.subscription]));
        parts.fold(self.past, |total, part| {
            (total.0 + part.taken(), total.1 + part.dropped())
        })
    }
}
