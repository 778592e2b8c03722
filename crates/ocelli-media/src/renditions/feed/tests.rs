use super::*;

#[test]
fn timestamps_map_back_to_capture_times() {
    let mut timestamps = TimestampMap::new(10_000);
    let start = 1_700_000_000_000_000;
    // In decoding order with B frames; two are almost simultaneous.
    let times = [0u64, 120_000, 40_000, 80_000, 240_000, 240_100, 200_000];
    let found: Vec<_> = times
        .iter()
        .enumerate()
        .map(|(at, &time)| {
            let taken = Timestamp(start + time);
            let stamp = if at == 0 {
                timestamps.begin(taken)
            } else {
                timestamps.next(taken)
            };
            (stamp, taken)
        })
        .collect();
    assert_eq!(found[0].0, FIRST_TIMESTAMP);
    assert_eq!(found[1].0, FIRST_TIMESTAMP + 120);
    assert_eq!(found[5].0, FIRST_TIMESTAMP + 241, "timestamps are unique");
    for (stamp, taken) in found {
        assert_eq!(timestamps.find(stamp as u32), Some((stamp, taken)));
    }
    assert_eq!(timestamps.find(7), None);
}

fn feed(min_interval: f64) -> Feed {
    Feed::new(FeedOptions {
        key_frames: false,
        any_size: false,
        longest_pause: 10_000,
        min_interval,
        picture_time: Duration::from_secs(10),
    })
}

/// Returns the seconds until the feed is overdue.
async fn overdue(feed: &Feed) -> u64 {
    let started = Instant::now();
    feed.overdue(|_| {}).await;
    started.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_overdue_after_its_time_and_the_first_after_twice_that() {
    let feed = feed(0.0);
    feed.expect_output(FIRST_TIMESTAMP);
    assert_eq!(overdue(&feed).await, 20);
    feed.output_after(0.0);
    feed.expect_output(FIRST_TIMESTAMP + 40);
    assert_eq!(overdue(&feed).await, 10);
    // After an output picture, the time of the next one starts.
    feed.expect_output(FIRST_TIMESTAMP + 80);
    feed.output_after(40.0);
    assert_eq!(overdue(&feed).await, 10);
}

#[tokio::test(start_paused = true)]
async fn half_of_the_time_is_reported_once() {
    let feed = feed(0.0);
    let reports = std::cell::RefCell::<Vec<u64>>::default();
    let overdue = || feed.overdue(|time| reports.borrow_mut().push(time.as_secs()));
    feed.expect_output(FIRST_TIMESTAMP);
    overdue().await;
    assert_eq!(reports.take(), [10]);
    feed.output_after(0.0);
    feed.expect_output(FIRST_TIMESTAMP + 40);
    overdue().await;
    assert_eq!(reports.take(), [5]);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_input_makes_a_picture_due() {
    let feed = feed(0.0);
    feed.expect_output(FIRST_TIMESTAMP);
    feed.output_after(0.0);
    let blocked_at = Instant::now();
    tokio::time::advance(Duration::from_secs(5)).await;
    feed.expect_output_since(blocked_at);
    let reports = std::cell::RefCell::<Vec<u64>>::default();
    let overdue = feed.overdue(|time| reports.borrow_mut().push(time.as_secs()));
    overdue.await;
    assert_eq!(reports.take(), [5]);
    assert_eq!(blocked_at.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_overdue_while_the_camera_sends_nothing() {
    let feed = feed(180.0);
    feed.expect_output(FIRST_TIMESTAMP);
    feed.output_after(0.0);
    // Too close to the last one: the filter drops it.
    feed.expect_output(FIRST_TIMESTAMP + 150);
    feed.output_after(0.0);
    let waited = tokio::time::timeout(Duration::from_secs(3600), feed.overdue(|_| {}));
    assert!(waited.await.is_err());
    feed.expect_output(FIRST_TIMESTAMP + 200);
    assert_eq!(overdue(&feed).await, 10);
}

#[test]
fn setting_the_clock_does_not_stop_the_pictures() {
    let mut timestamps = TimestampMap::new(10_000);
    let start = 1_700_000_000_000_000;
    timestamps.begin(Timestamp(start));
    assert_eq!(
        timestamps.next(Timestamp(start - 3_600_000_000)),
        FIRST_TIMESTAMP + 40
    );
    assert_eq!(
        timestamps.next(Timestamp(start - 3_599_900_000)),
        FIRST_TIMESTAMP + 140
    );
    assert_eq!(timestamps.next(Timestamp(start)), FIRST_TIMESTAMP + 180);
}
