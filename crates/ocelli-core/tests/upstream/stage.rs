//! A hub with one scripted camera.

use ocelli_core::{
    Camera, Codec, Endpoint, Failure, FailureKind, FrameBuffer, Hub, Picture, Publisher, Rendition,
    Renditions, RunOnce, Source, State, Timestamp,
};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

/// A scripted camera.
pub struct Puppet {
    pub attempts: watch::Sender<usize>,
    pub running: Arc<AtomicUsize>,
    pub behaviour: Behaviour,
}

#[derive(Clone, Copy)]
pub enum Behaviour {
    /// One picture at once and then one each second.
    Plays,
    /// Two pictures, then silence.
    Freezes,
    /// Fails at once.
    Refuses,
    /// Fails at the first attempts, then plays.
    RefusesUntil(usize),
    /// Continuous H.264.
    PlaysNative,
    /// Fails at once, for another reason.
    Dead,
    /// Panics, as a defect in the source would.
    Panics,
}

pub struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source for Puppet {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        self.attempts.send_modify(|attempts| *attempts += 1);
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(self.running.clone());
        let attempt = *self.attempts.borrow();
        Box::pin(async move {
            let _running = running;
            let refusal = || Failure::new(FailureKind::Unauthorized, "401: wrong user or password");
            let jpeg = || Picture::jpeg(FrameBuffer::copy_from(b"jpeg"), Some((320, 240)));
            match self.behaviour {
                Behaviour::Refuses => return Err(refusal()),
                Behaviour::RefusesUntil(good) if attempt < good => return Err(refusal()),
                Behaviour::Dead => {
                    let failure = Failure::new(FailureKind::Unreachable, "no route to host");
                    return Err(failure);
                }
                Behaviour::Panics => panic!("a defect of the source"),
                Behaviour::Freezes => {
                    publisher.publish(jpeg());
                    sleep(Duration::from_millis(10)).await;
                    publisher.publish(jpeg());
                    return pending().await;
                }
                Behaviour::Plays | Behaviour::RefusesUntil(_) | Behaviour::PlaysNative => {}
            }
            loop {
                publisher.publish(match self.behaviour {
                    Behaviour::PlaysNative => Picture {
                        codec: Codec::H264,
                        key: true,
                        captured: Timestamp(7),
                        size: Some((640, 480)),
                        codec_string: None,
                        buffer: FrameBuffer::copy_from(b"unit"),
                    },
                    _ => jpeg(),
                });
                sleep(Duration::from_secs(1)).await;
            }
        })
    }
}

/// Refuses each attempt, and tells with its name when.
pub struct Refusing(
    pub &'static str,
    pub mpsc::UnboundedSender<(&'static str, Instant)>,
);

impl Source for Refusing {
    fn run_once(self: Arc<Self>, _publisher: Publisher) -> RunOnce {
        let _ = self.1.send((self.0, Instant::now()));
        let refusal = Failure::new(FailureKind::Unauthorized, "401: wrong user or password");
        Box::pin(async move { Err(refusal) })
    }
}

/// Adds a camera whose source connects to this endpoint.
pub fn hub_camera(
    hub: &Hub,
    room: &str,
    endpoint: Endpoint,
    source: Arc<dyn Source>,
) -> Arc<Camera> {
    let id = hub.resolve("live", room).expect("a name");
    let upstream = hub.upstream_at(&id, endpoint, source, Renditions::default());
    let camera = Camera::new(id, String::new(), "puppet", upstream, None, false);
    hub.add(camera).expect("a free name")
}

/// A rendition that converts each access unit to a "JPEG".
pub struct Echo(Arc<AtomicUsize>);

impl Rendition for Echo {
    fn run_once(
        self: Arc<Self>,
        mut input: ocelli_core::Follower,
        publisher: Publisher,
    ) -> RunOnce {
        self.0.fetch_add(1, Ordering::SeqCst);
        let running = Running(self.0.clone());
        Box::pin(async move {
            let _running = running;
            loop {
                let unit = input.next().await;
                let mut picture = Picture::jpeg(FrameBuffer::copy_from(b"derived"), None);
                picture.captured = unit.captured;
                publisher.publish(picture);
            }
        })
    }
}

pub struct Stage {
    pub hub: Hub,
    pub camera: Arc<Camera>,
    pub attempts: watch::Receiver<usize>,
    pub running: Arc<AtomicUsize>,
    pub renditions: Arc<AtomicUsize>,
    pub mpeg1: Arc<AtomicUsize>,
}

pub fn stage(behaviour: Behaviour) -> Stage {
    kept_stage(behaviour, false)
}

/// `keep`: it stays connected without viewers.
pub fn kept_stage(behaviour: Behaviour, keep: bool) -> Stage {
    let hub = Hub::default();
    let running = Arc::new(AtomicUsize::new(0));
    let renditions = Arc::new(AtomicUsize::new(0));
    let mpeg1 = Arc::new(AtomicUsize::new(0));
    let attempts = watch::Sender::new(0);
    let receiver = attempts.subscribe();
    let source = Arc::new(Puppet {
        attempts,
        running: running.clone(),
        behaviour,
    });
    let id = hub.resolve("live", "cam").expect("a name");
    let upstream = hub.upstream(
        &id,
        source,
        Renditions {
            jpeg: Some(Arc::new(Echo(renditions.clone()))),
            mpeg1: Some(Arc::new(Echo(mpeg1.clone()))),
        },
    );
    let camera = Camera::new(id, "Cam".into(), "puppet", upstream, None, keep);
    let camera = hub.add(camera).expect("a free name");
    Stage {
        hub,
        camera,
        attempts: receiver,
        running,
        renditions,
        mpeg1,
    }
}

impl Stage {
    pub fn state(&self) -> State {
        self.camera.status().state
    }

    pub async fn until(&self, wanted: impl Fn(&State) -> bool) {
        let mut changes = self.hub.changes();
        while !wanted(&self.state()) {
            changes.changed().await.expect("the hub is alive");
        }
    }

    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

/// Runs all ready tasks without advancing the clock.
pub async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
