use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::frame::{Form, FrameBuffer};
use crate::group::MAX_FRAMES;

fn slot() -> Slot {
    Slot::new("cam", Arc::new(SystemClock))
}

fn unit(key: bool, byte: u8) -> Picture {
    Picture {
        codec: Codec::H264,
        key,
        captured: Timestamp::UNKNOWN,
        size: None,
        codec_string: None,
        buffer: FrameBuffer::copy_from(&[byte]),
    }
}

fn subscribe(slot: &Slot) -> usize {
    slot.subscribe(Arc::default(), 0, Role::Viewer)
}

fn counts(slot: &Slot, index: usize) -> (u64, u64) {
    let counts = |listener: &mut Listener| (listener.taken, listener.dropped);
    slot.with(index, counts).expect("a subscription")
}

fn set_credit(slot: &Slot, index: usize, credit: Option<u32>) {
    slot.with(index, |listener| {
        listener.credit = credit;
        listener.ready.enqueue(listener.token);
    });
}

fn take(slot: &Slot, index: usize) -> Option<TakenFrame> {
    slot.take(index, |_| true)
}

fn bytes_at(slot: &Slot, index: usize) -> Vec<u8> {
    let frames = std::iter::from_fn(|| take(slot, index));
    frames.map(|taken| taken.frame.payload()[0]).collect()
}

#[test]
fn a_jpeg_viewer_gets_the_newest_frame_and_a_drop_count() {
    let slot = slot();
    let index = subscribe(&slot);
    for byte in 0..3 {
        slot.publish(Picture::jpeg(FrameBuffer::copy_from(&[byte]), None));
    }
    assert_eq!(bytes_at(&slot, index), [2]);
    assert_eq!(counts(&slot, index), (1, 0));
    for byte in 3..7 {
        slot.publish(Picture::jpeg(FrameBuffer::copy_from(&[byte]), None));
    }
    assert_eq!(bytes_at(&slot, index), [6]);
    assert_eq!(counts(&slot, index), (2, 3));
    assert_eq!(slot.status().dropped, 3);
}

#[test]
fn frames_are_taken_only_against_credit() {
    let slot = slot();
    let ready = Arc::<Ready>::default();
    let index = slot.subscribe(ready.clone(), 0, Role::Viewer);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut is_queued = || ready.poll_next(&mut cx).is_ready();
    set_credit(&slot, index, Some(2));
    assert!(is_queued());
    slot.publish(unit(true, 0));
    slot.publish(unit(false, 1));
    slot.publish(unit(false, 2));
    assert!(is_queued());
    assert_eq!(bytes_at(&slot, index), [0, 1]);
    slot.publish(unit(false, 3));
    assert!(!is_queued(), "without credit it is not woken");
    slot.add_credit(index, 1, 2);
    assert!(is_queued());
    assert_eq!(bytes_at(&slot, index), [2], "the next of the group");
    slot.add_credit(index, u32::MAX, 2);
    assert_eq!(bytes_at(&slot, index), [3]);
    assert!(is_queued());
    slot.add_credit(index, 0, 2);
    assert!(!is_queued(), "there is nothing newer");
    slot.publish(unit(true, 4));
    slot.publish(unit(true, 5));
    assert_eq!(bytes_at(&slot, index), [5], "the newest group");
    slot.publish(unit(true, 6));
    assert_eq!(bytes_at(&slot, index), [], "the credit was limited to 2");
    set_credit(&slot, index, None);
    slot.publish(unit(false, 7));
    assert_eq!(bytes_at(&slot, index), [6, 7]);
    slot.add_credit(index, 1, 2);
    slot.publish(unit(true, 8));
    slot.publish(unit(false, 9));
    assert_eq!(bytes_at(&slot, index), [8, 9], "credit is not used");
}

#[test]
fn a_viewer_that_misses_the_first_frame_after_an_interruption_gets_the_flag_with_the_next() {
    let slot = slot();
    let publish = |byte| slot.publish(Picture::jpeg(FrameBuffer::copy_from(&[byte]), None));
    let (early, on_time) = (subscribe(&slot), subscribe(&slot));
    publish(0);
    assert_eq!(bytes_at(&slot, early), bytes_at(&slot, on_time));
    slot.interrupt();
    publish(1);
    assert!(take(&slot, on_time).expect("one").frame.discontinuity);
    publish(2);
    for (index, flagged) in [(early, true), (on_time, false)] {
        let late = take(&slot, index).expect("another").frame;
        assert_eq!((late.payload()[0], late.discontinuity), (2, flagged));
        let late = late.into_message(Form::V2);
        assert_eq!(late[3], 1 | u8::from(flagged) << 1);
        let newest = slot.newest().expect("one").into_message(Form::V2);
        assert_eq!(late[4..], newest[4..]);
    }
    let newcomer = take(&slot, subscribe(&slot)).expect("one").frame;
    assert!(!newcomer.discontinuity);
}

#[test]
fn a_group_is_read_in_order_and_a_slow_viewer_skips_to_the_newest() {
    let slot = slot();
    let index = subscribe(&slot);
    assert_eq!(slot.publish(unit(false, 9)), Published::Discarded);
    slot.publish(unit(true, 0));
    slot.publish(unit(false, 1));
    assert_eq!(bytes_at(&slot, index), [0, 1]);
    slot.publish(unit(false, 2));
    slot.publish(unit(true, 10));
    slot.publish(unit(false, 11));
    assert_eq!(bytes_at(&slot, index), [10, 11]);
    assert_eq!(counts(&slot, index), (4, 1));
}

#[test]
fn an_endless_group_is_bounded_and_new_viewers_wait_for_a_key_frame() {
    let slot = slot();
    let (follower, newcomer) = (subscribe(&slot), subscribe(&slot));
    slot.publish(unit(true, 0));
    bytes_at(&slot, follower);
    for _ in 0..MAX_FRAMES {
        slot.publish(unit(false, 1));
    }
    assert!(take(&slot, newcomer).is_none());
    assert_eq!(bytes_at(&slot, follower).len(), MAX_FRAMES);
    slot.publish(unit(true, 2));
    assert_eq!(bytes_at(&slot, newcomer), [2]);
}

#[test]
fn a_cleared_slot_is_empty_until_the_next_publish() {
    let slot = slot();
    let index = subscribe(&slot);
    slot.publish(unit(true, 0));
    slot.clear();
    assert!(take(&slot, index).is_none() && slot.newest().is_none());
    slot.interrupt();
    slot.publish(unit(true, 1));
    let taken = take(&slot, index).expect("a new picture");
    assert!(taken.frame.discontinuity);
}

#[test]
fn a_pause_does_not_lower_the_frame_rate() {
    let clock = Arc::new(ManualClock::default());
    let slot = Slot::new("cam", clock.clone());
    let pass = |micros| clock.advance(micros);
    let show = || {
        for _ in 0..5 {
            pass(200_000);
            slot.publish(unit(true, 0));
        }
        slot.status().fps
    };
    assert!((show() - 5.0).abs() < 0.1);
    slot.interrupt();
    pass(20_000_000);
    let fps = show();
    assert!((fps - 5.0).abs() < 0.1, "{fps}");
    slot.clear();
    pass(20_000_000);
    let fps = show();
    assert!((fps - 5.0).abs() < 0.1, "{fps}");
}

#[test]
fn bursts_of_pictures_do_not_raise_the_frame_rate() {
    let (clock, slot) = timed();
    let burst = |count: usize| {
        for _ in 0..count {
            clock.advance(30);
            slot.publish(unit(true, 0));
        }
        slot.status().fps
    };
    assert_eq!(burst(250), 0.0, "unknown after the first burst");
    for _ in 0..4 {
        clock.advance(1_000_000 - 25 * 30);
        let fps = burst(25);
        assert!(fps < 300.0, "{fps}");
    }
    for _ in 0..4 {
        clock.advance(1_000_000 - 25 * 30);
        let fps = burst(25);
        assert!((fps - 25.0).abs() < 1.0, "{fps}");
    }
}

/// A clock that tests advance, and a slot that uses it.
fn timed() -> (Arc<ManualClock>, Slot) {
    let clock = Arc::new(ManualClock::default());
    let slot = Slot::new("cam", clock.clone());
    (clock, slot)
}

#[test]
fn a_viewer_that_falls_behind_inside_a_group_gets_no_more_of_it() {
    let (clock, slot) = timed();
    let viewer = subscribe(&slot);
    let lagged = || slot.with(viewer, |listener| listener.lagging);
    slot.publish(unit(true, 0));
    assert_eq!(bytes_at(&slot, viewer), [0], "it has caught up");
    for byte in 1..=16 {
        clock.advance(100_000);
        slot.publish(unit(false, byte));
    }
    // 1.5 s behind is allowed.
    let next = take(&slot, viewer).expect("the next of the group");
    assert_eq!((next.frame.payload()[0], lagged()), (1, Some(false)));
    clock.advance(200_000);
    slot.publish(unit(false, 17));
    assert!(take(&slot, viewer).is_none());
    assert_eq!(lagged(), Some(true));
    slot.publish(unit(false, 18));
    assert!(take(&slot, viewer).is_none(), "no more of this group");
    slot.publish(unit(true, 20));
    slot.publish(unit(false, 21));
    assert_eq!(bytes_at(&slot, viewer), [20, 21]);
    assert_eq!(counts(&slot, viewer), (4, 17));
}

#[test]
fn a_newcomer_that_falls_further_behind_is_lagging() {
    let (clock, slot) = timed();
    slot.publish(unit(true, 0));
    for byte in 1..=40 {
        clock.advance(100_000);
        slot.publish(unit(false, byte));
    }
    let viewer = subscribe(&slot);
    let mut taken = Vec::new();
    // One of three frames is taken, so each turn it falls 200 ms further behind.
    while let Some(next) = take(&slot, viewer) {
        taken.push(next.frame.payload()[0]);
        for byte in 0..3 {
            clock.advance(100_000);
            slot.publish(unit(false, byte));
        }
    }
    assert_eq!(taken, (0..=7).collect::<Vec<_>>());
    assert_eq!(slot.with(viewer, |listener| listener.lagging), Some(true));
    slot.publish(unit(true, 99));
    assert_eq!(bytes_at(&slot, viewer), [99]);
}

#[test]
fn a_newcomer_gets_the_whole_group_however_old_it_is() {
    let (clock, slot) = timed();
    slot.publish(unit(true, 0));
    for byte in 1..=5 {
        clock.advance(4_000_000);
        slot.publish(unit(false, byte));
    }
    assert_eq!(bytes_at(&slot, subscribe(&slot)), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_viewer_that_lags_is_woken_by_the_next_key_frame_only() {
    let (clock, slot) = timed();
    let ready = Arc::<Ready>::default();
    let viewer = slot.subscribe(ready.clone(), 0, Role::Viewer);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut is_queued = || ready.poll_next(&mut cx).is_ready();
    slot.publish(unit(true, 0));
    assert!(is_queued() && take(&slot, viewer).is_some());
    for byte in 1..3 {
        slot.publish(unit(false, byte));
        clock.advance(2_000_000);
    }
    assert!(is_queued() && take(&slot, viewer).is_none());
    slot.publish(unit(false, 3));
    assert!(!is_queued());
    slot.publish(unit(true, 4));
    assert!(is_queued());
    assert_eq!(bytes_at(&slot, viewer), [4]);
}

#[test]
fn a_viewer_can_ask_for_key_frames_only() {
    let slot = slot();
    let viewer = subscribe(&slot);
    slot.with(viewer, |listener| listener.only_key_frames = true);
    let publish = |key, byte| {
        slot.publish(unit(key, byte));
        bytes_at(&slot, viewer)
    };
    assert_eq!(publish(true, 0), [0]);
    assert_eq!(publish(false, 1), []);
    assert_eq!(publish(true, 2), [2]);
}

#[test]
fn a_change_of_what_is_listed_is_reported() {
    let slot = slot();
    let publish = |codec_string: &str, size| {
        slot.publish(Picture {
            codec_string: Some(codec_string.into()),
            size: Some(size),
            ..unit(true, 0)
        })
    };
    assert_eq!(publish("avc1.42e01e", (640, 480)), Published::Listing);
    assert_eq!(publish("avc1.42e01e", (640, 480)), Published::Frame);
    assert_eq!(publish("avc1.64001f", (640, 480)), Published::Listing);
    assert_eq!(publish("avc1.64001f", (1280, 720)), Published::Listing);
    assert_eq!(slot.codec_string().as_deref(), Some("avc1.64001f"));
    let rest = (5..12).map(|_| publish("avc1.64001f", (1280, 720)));
    let listings = rest.filter(|published| *published == Published::Listing);
    assert_eq!(listings.count(), 1, "the frame rate is known");
}

#[test]
fn the_memory_of_all_groups_is_bounded_and_each_camera_keeps_its_share() {
    let memory = GroupMemory::new(1000);
    let slot = |id| Slot::with_memory(id, Arc::new(SystemClock), memory.clone());
    let large = |key| Picture {
        buffer: FrameBuffer::copy_from(&[0; 100]),
        ..unit(key, 0)
    };
    let (modest, greedy) = (slot("modest"), slot("greedy"));
    for slot in [&modest, &greedy] {
        slot.publish(large(true));
    }
    for _ in 0..3 {
        modest.publish(large(false));
    }
    for _ in 0..20 {
        greedy.publish(large(false));
    }
    assert!(memory.used() <= 1000, "{}", memory.used());
    modest.publish(large(false));
    assert_eq!(bytes_at(&modest, subscribe(&modest)).len(), 5);
    assert_eq!(bytes_at(&greedy, subscribe(&greedy)), [], "incomplete");
    greedy.publish(large(true));
    assert_eq!(bytes_at(&greedy, subscribe(&greedy)).len(), 1);
    assert_eq!(memory.used(), 600);
    drop(modest);
    greedy.clear();
    assert_eq!(memory.used(), 0);
}

#[test]
fn a_change_of_codec_size_or_profile_is_a_discontinuity() {
    let slot = slot();
    let viewer = subscribe(&slot);
    let flagged = |codec, codec_string: &str, size| {
        slot.publish(Picture {
            codec,
            codec_string: Some(codec_string.into()),
            size: Some(size),
            ..unit(true, 0)
        });
        take(&slot, viewer).expect("the frame").frame.discontinuity
    };
    let small = (640, 480);
    assert!(!flagged(Codec::H264, "avc1.42e01e", small));
    assert!(!flagged(Codec::H264, "avc1.42e01e", small));
    assert!(flagged(Codec::H264, "avc1.42e01e", (1280, 720)));
    assert!(flagged(Codec::H264, "avc1.64001f", (1280, 720)));
    assert!(flagged(Codec::H265, "avc1.64001f", (1280, 720)));
    assert!(!flagged(Codec::H265, "avc1.64001f", (1280, 720)));
}

#[test]
fn a_viewer_that_wanted_key_frames_only_gets_the_rest_of_the_group() {
    let (clock, slot) = timed();
    let subscription = Arc::new(slot);
    let ready = Arc::<Ready>::default();
    let mut viewer = crate::Subscription::new(subscription.clone(), None, ready, 0);
    viewer.set_only_key_frames(true);
    subscription.publish(unit(true, 0));
    assert!(viewer.take().is_some());
    for byte in 1..=5 {
        clock.advance(1_000_000);
        subscription.publish(unit(false, byte));
    }
    assert!(viewer.take().is_none());
    viewer.set_only_key_frames(false);
    let rest = std::iter::from_fn(|| viewer.take()).count();
    assert_eq!((rest, viewer.has_lagged()), (5, false));
}

#[test]
fn a_viewer_that_is_too_slow_for_the_cache_is_lagging() {
    let slot = slot();
    let viewer = subscribe(&slot);
    slot.publish(unit(true, 0));
    slot.publish(unit(false, 1));
    assert!(take(&slot, viewer).is_some());
    for _ in 0..=MAX_FRAMES {
        slot.publish(unit(false, 2));
    }
    assert!(take(&slot, viewer).is_none());
    assert_eq!(slot.with(viewer, |listener| listener.lagging), Some(true));
}
