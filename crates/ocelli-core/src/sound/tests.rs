use super::*;
use crate::clock::ManualClock;
use std::task::{Context, Poll, Waker};

const TOKEN: Token = 3;
/// The interval of units in these tests, in microseconds.
const INTERVAL: u64 = 20_000;

fn alaw() -> SoundFormat {
    SoundFormat {
        codec: SoundCodec::PcmA,
        codec_string: "alaw".to_owned(),
        rate: 8000,
        channels: 1,
        config: Vec::new(),
    }
}

struct Stage {
    clock: Arc<ManualClock>,
    sound: Arc<Sound>,
    ready: Arc<Ready>,
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::<ManualClock>::default();
        clock.advance(1_000_000);
        let sound = Sound::new("barn/cam".to_owned(), clock.clone());
        sound.set_format(Some(alaw()));
        Self {
            clock,
            sound: Arc::new(sound),
            ready: Arc::default(),
        }
    }

    fn listen(&self) -> SoundSubscription {
        SoundSubscription::new(self.sound.clone(), self.ready.clone(), TOKEN)
    }

    /// Publishes this many units, one each interval.
    fn publish(&self, count: usize) {
        for _ in 0..count {
            self.clock.advance(INTERVAL);
            self.sound.publish(self.clock.now(), &[7; 160]);
        }
    }
}

fn all(subscription: &mut SoundSubscription) -> Vec<SoundUnit> {
    std::iter::from_fn(|| subscription.take()).collect()
}

#[test]
fn a_message_has_the_header_of_the_protocol() {
    let stage = Stage::new();
    let mut listener = stage.listen();
    stage
        .sound
        .publish(Timestamp(0x0102_0304_0506_0708), b"one");
    stage.sound.publish(Timestamp::UNKNOWN, b"two");
    let first = listener.take().expect("a unit");
    assert_eq!(
        (&first.payload()[..], first.discontinuity),
        (&b"one"[..], true)
    );
    let mut expected = vec![2, 4, 18, 2, 0, 0, 0, 0, 0, 0, 0, 0];
    expected.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    expected.extend(1_000_000u64.to_be_bytes());
    expected.extend(b"\x08barn/cam");
    expected.extend(b"one");
    assert_eq!(first.into_message(), expected);
    let second = listener.take().expect("a unit");
    assert_eq!(
        (second.sequence, second.captured),
        (1, Timestamp(1_000_000))
    );
    assert_eq!(second.into_message()[3], 0, "it continues the first");
    assert!(listener.take().is_none());
}

#[test]
fn a_listener_that_takes_nothing_keeps_the_newest_second() {
    let stage = Stage::new();
    let (mut slow, mut fast) = (stage.listen(), stage.listen());
    let mut taken = Vec::new();
    for _ in 0..200 {
        stage.publish(1);
        taken.extend(all(&mut fast));
    }
    assert_eq!(taken.len(), 200, "another listener does not matter");
    assert!(taken[1..].iter().all(|unit| !unit.discontinuity));
    let kept = all(&mut slow);
    let numbers: Vec<_> = kept.iter().map(|unit| unit.sequence).collect();
    assert_eq!(numbers, (149..200).collect::<Vec<_>>());
    assert!(kept[0].discontinuity && !kept[1].discontinuity);
    assert_eq!(stage.sound.dropped(), 149);
    stage.publish(1);
    assert!(slow.take().is_some_and(|unit| !unit.discontinuity));
}

#[test]
fn wrong_times_do_not_lift_the_bound() {
    let stage = Stage::new();
    let mut listener = stage.listen();
    for _ in 0..2000 {
        stage.sound.publish(Timestamp(5), &[7; 160]);
    }
    assert_eq!(all(&mut listener).len(), MAX_QUEUED_UNITS);
    for _ in 0..100 {
        stage.sound.publish(Timestamp(5), &[7; MAX_UNIT]);
    }
    let bytes: usize = all(&mut listener).iter().map(|unit| unit.bytes.len()).sum();
    assert!(bytes <= MAX_QUEUED_BYTES, "{bytes}");
    // A camera that delivers two seconds at once.
    for at in 0..100 {
        stage
            .sound
            .publish(Timestamp(10_000_000 + at * INTERVAL), &[7; 160]);
    }
    assert_eq!(all(&mut listener).len(), 51);
}

#[test]
fn a_new_listener_gets_no_backlog_and_an_ended_one_keeps_nothing() {
    let stage = Stage::new();
    stage.publish(10);
    let mut listener = stage.listen();
    assert!(listener.take().is_none());
    stage.publish(1);
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(stage.ready.poll_next(&mut cx), Poll::Ready(TOKEN));
    assert_eq!(listener.take().map(|unit| unit.sequence), Some(10));
    drop(listener);
    stage.publish(10);
    assert!(stage.sound.lock().queues.is_empty());
    assert!(stage.ready.poll_next(&mut cx).is_pending());
}

#[test]
fn units_after_an_interruption_or_an_invalid_one_are_marked() {
    let stage = Stage::new();
    let mut listener = stage.listen();
    stage.publish(2);
    stage.sound.interrupt();
    stage.publish(2);
    stage.sound.publish(Timestamp(5), &[7; MAX_UNIT + 1]);
    stage.publish(2);
    let flags: Vec<_> = all(&mut listener)
        .iter()
        .map(|unit| unit.discontinuity)
        .collect();
    assert_eq!(flags, [true, false, true, false, true, false]);
}

#[test]
fn sound_is_expected_until_its_format_is_known() {
    let stage = Stage::new();
    stage.sound.expect();
    assert!(!stage.sound.is_expected(), "it is known already");
    for format in [None, Some(alaw())] {
        stage.sound.set_format(None);
        stage.sound.expect();
        assert!(stage.sound.is_expected());
        stage.sound.set_format(format);
        assert!(!stage.sound.is_expected());
    }
}

#[test]
fn units_in_a_former_format_are_discarded() {
    let stage = Stage::new();
    let mut listener = stage.listen();
    stage.publish(3);
    assert!(!stage.sound.set_format(Some(alaw())), "no change");
    let other = SoundFormat {
        codec: SoundCodec::PcmU,
        ..alaw()
    };
    assert!(stage.sound.set_format(Some(other)));
    stage.publish(1);
    let units = all(&mut listener);
    assert_eq!(units.len(), 1);
    assert!(units[0].discontinuity);
    assert_eq!(units[0].bytes[2], 19);
    stage.sound.set_format(None);
    stage.publish(1);
    assert!(listener.take().is_none(), "there is no sound");
}
