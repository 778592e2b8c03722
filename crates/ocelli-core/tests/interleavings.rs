//! A sleeping viewer has received the newest frame, however publishing and the steps of its
//! task interleave.

#![allow(clippy::unwrap_used, reason = "the test set it up")]

use ocelli_core::ready::{DirectWrite, Offered};
use ocelli_core::{Frame, FrameBuffer, Picture, Ready, Slot, Subscription, SystemClock};
use ocelli_testkit::schedule::{Schedule, every_order};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

const FRAMES: u8 = 4;

#[derive(Default)]
struct Task(AtomicBool);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A socket that accepts a frame, a part of it, or nothing, as scripted.
struct ScriptedWrite {
    does: Arc<Mutex<VecDeque<Offered>>>,
    shown: Arc<Mutex<u8>>,
}

impl DirectWrite for ScriptedWrite {
    fn offer(&mut self, frame: &Frame) -> Offered {
        let does = self.does.lock().unwrap().pop_front();
        let does = does.unwrap_or(Offered::Declined);
        if does == Offered::Sent {
            *self.shown.lock().unwrap() = frame.payload()[0];
        }
        does
    }
}

#[derive(Clone, Copy)]
enum Step {
    TakeBack,
    Pull,
    Lend,
}

fn run(schedule: &mut Schedule, does: [Offered; 2]) {
    let slot = Arc::new(Slot::new("cam", Arc::new(SystemClock)));
    let ready = Arc::<Ready>::default();
    let mut subscription = Subscription::new(slot.clone(), None, ready.clone(), 0);
    let task = Arc::<Task>::default();
    task.0.store(true, SeqCst);
    let waker = Waker::from(task.clone());
    let shown = Arc::<Mutex<u8>>::default();
    let does = Arc::new(Mutex::new(VecDeque::from(does)));
    let (mut step, mut published) = (None, 0);
    loop {
        let can_run = step.is_some() || task.0.load(SeqCst);
        let can_publish = published < FRAMES;
        let turn = match (can_run, can_publish) {
            (false, false) => break,
            (true, true) => schedule.pick(2) == 0,
            (can_run, _) => can_run,
        };
        if !turn {
            published += 1;
            slot.publish(Picture::jpeg(FrameBuffer::copy_from(&[published]), None));
            continue;
        }
        step = match step.take().unwrap_or(Step::TakeBack) {
            Step::TakeBack => {
                task.0.store(false, SeqCst);
                if let Some(started) = ready.stop_direct_write() {
                    *shown.lock().unwrap() = started.frame.payload()[0];
                }
                Some(Step::Pull)
            }
            Step::Pull => match ready.poll_next(&mut Context::from_waker(&waker)) {
                Poll::Ready(_) => {
                    if let Some(frame) = subscription.take() {
                        *shown.lock().unwrap() = frame.payload()[0];
                    }
                    Some(Step::Pull)
                }
                Poll::Pending => Some(Step::Lend),
            },
            Step::Lend => {
                let (does, shown) = (does.clone(), shown.clone());
                ready.start_direct_write(|| Box::new(ScriptedWrite { does, shown }));
                None
            }
        };
    }
    let shown = *shown.lock().unwrap();
    assert_eq!(shown, FRAMES, "the newest frame is missing");
}

#[test]
fn a_sleeping_viewer_has_the_newest_frame() {
    let answers = [Offered::Sent, Offered::Partial(1), Offered::Declined];
    for first in answers {
        for second in answers {
            let orders = every_order(|schedule| run(schedule, [first, second]));
            assert!(orders > 100, "{orders}");
        }
    }
}
