//! Viewers at different speeds, and a store that is read again: in any order of events,
//! each sample reaches each viewer once, or is counted in a gap.

#![allow(clippy::unwrap_used, reason = "the test set it up")]

mod any_order;

use ocelli_series::cursor::{BATCH_LIMIT, Cursor, PIECE, Selection};
use ocelli_series::{Bounds, Registry};
use serde_json::Value;
use std::collections::BTreeMap;

/// Whole messages, joined from their pieces.
trait Whole {
    fn history(&mut self, registry: &mut Registry) -> String;
    fn batch(&mut self, registry: &mut Registry) -> Option<String>;
    fn message(&mut self, registry: &Registry) -> String;
}

impl Whole for Cursor {
    fn history(&mut self, registry: &mut Registry) -> String {
        self.begin_history(registry);
        self.message(registry)
    }

    fn batch(&mut self, registry: &mut Registry) -> Option<String> {
        self.begin_batch(registry).then(|| self.message(registry))
    }

    fn message(&mut self, registry: &Registry) -> String {
        let mut message = String::new();
        loop {
            let piece = self.piece(registry).expect("a piece");
            assert!(piece.text.len() < PIECE + 50_000, "{}", piece.text.len());
            message.push_str(&piece.text);
            if piece.last {
                assert_eq!(self.piece(registry), None);
                return message;
            }
        }
    }
}

/// The samples that a viewer has received, by series: the y values in order, and the gaps.
#[derive(Default)]
struct Given(BTreeMap<u64, (Vec<f64>, u64)>);

impl Given {
    fn take(&mut self, message: &str) {
        assert!(message.len() < BATCH_LIMIT + 100_000);
        let message: Value = serde_json::from_str(message).unwrap();
        for series in message["series"].as_array().unwrap() {
            let entry = self.0.entry(series["id"].as_u64().unwrap()).or_default();
            let points = series["points"].as_array().unwrap().iter();
            entry
                .0
                .extend(points.map(|point| point[1].as_f64().unwrap()));
            entry.1 += series["gap"].as_u64().unwrap_or(0);
        }
    }
}

fn bounds(samples: usize) -> Bounds {
    Bounds {
        samples,
        ..Bounds::default()
    }
}

fn message(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_batch_over_4_mib_continues_with_the_next_request() {
    let mut registry = Registry::new(Bounds::default());
    let mut cursor = Cursor::new(Selection::default());
    assert_eq!(
        message(&cursor.history(&mut registry))["series"],
        Value::Array(Vec::new())
    );
    for name in ["a", "b", "c", "d"] {
        let id = registry.open(name, true).unwrap();
        let samples: Vec<_> = (0..90_000)
            .map(|i| (1.7e12 + f64::from(i), f64::from(i) / 7.0))
            .collect();
        registry.append(id, &samples, 1).unwrap();
    }
    let (mut given, mut batches) = (Given::default(), 0);
    while let Some(batch) = cursor.batch(&mut registry) {
        given.take(&batch);
        batches += 1;
    }
    assert!((3..=5).contains(&batches), "{batches}");
    assert_eq!(given.0.len(), 4);
    assert!(
        given
            .0
            .values()
            .all(|(ys, gap)| ys.len() == 90_000 && *gap == 0)
    );
}

#[test]
fn unchanged_series_are_left_out_and_changes_without_samples_are_included() {
    let mut registry = Registry::new(Bounds::default());
    let ids: Vec<_> = ["a", "b", "c"]
        .map(|name| registry.open(name, true).unwrap())
        .into();
    for id in &ids {
        registry.append(*id, &[(5.0, 1.0)], 1).unwrap();
    }
    let mut cursor = Cursor::new(Selection::default());
    let history = message(&cursor.history(&mut registry));
    assert_eq!(history["series"].as_array().unwrap().len(), 3);
    assert_eq!(history["series"][0]["xy"], true);
    assert_eq!(cursor.batch(&mut registry), None);
    registry.append(ids[1], &[(6.0, 2.5)], 1).unwrap();
    let batch = cursor.batch(&mut registry).unwrap();
    assert_eq!(
        batch,
        r#"{"series":[{"id":2,"name":"b","xy":true,"points":[[6,2.5]]}]}"#
    );
    registry.rename(ids[0], "first \"one\"").unwrap();
    registry.set_unit(ids[0], Some("°C")).unwrap();
    registry.delete(ids[2]).unwrap();
    let batch = message(&cursor.batch(&mut registry).unwrap());
    assert_eq!(batch["series"][0]["name"], "first \"one\"");
    assert_eq!(batch["series"][0]["unit"], "°C");
    assert_eq!(batch["series"][1]["gone"], true);
    assert_eq!(batch["series"][1]["id"], 3);
    assert_eq!(cursor.batch(&mut registry), None);
    // A new series with the old name has another id.
    assert_eq!(registry.open("c", true), Ok(4));
}

#[test]
fn a_clock_offset_is_reported() {
    let mut registry = Registry::new(Bounds::default());
    let mut cursor = Cursor::new(Selection::default());
    cursor.history(&mut registry);
    let now = 1_700_000_000_000_u64;
    for (name, x, offset) in [
        ("right", now as f64 + 1.5, Value::Null),
        ("whole seconds", now as f64 - 1999.0, Value::Null),
        ("behind", now as f64 - 5000.0, Value::from(-5000)),
        ("ahead", now as f64 + 3_600_000.4, Value::from(3_600_000)),
        ("no time", 17.0, Value::Null),
    ] {
        let id = registry.open(name, true).unwrap();
        registry.append(id, &[(x, 1.0)], now).unwrap();
        let batch = message(&cursor.batch(&mut registry).unwrap());
        assert_eq!(batch["series"][0]["clockOffsetMs"], offset, "{name}");
        // A later viewer gets the offset too, and no viewer gets it once the clock is
        // right.
        let history = Cursor::new(Selection::default()).history(&mut registry);
        let history = message(&history)["series"].clone();
        assert_eq!(
            history.as_array().unwrap().last().unwrap()["clockOffsetMs"],
            offset
        );
        if !offset.is_null() {
            registry.append(id, &[(now as f64, 1.0)], now).unwrap();
            let batch = message(&cursor.batch(&mut registry).unwrap());
            assert_eq!(batch["series"][0]["clockOffsetMs"], Value::Null);
        }
    }
}

#[test]
fn the_history_is_narrowed_and_thinned() {
    let mut registry = Registry::new(Bounds::default());
    for (name, tcp) in [("a", true), ("b", true), ("c", false)] {
        let id = registry.open(name, tcp).unwrap();
        let samples: Vec<_> = (0..50_000)
            .map(|i| (1.7e12 + f64::from(i), if i == 33_333 { 9.0 } else { 0.0 }))
            .collect();
        registry.append(id, &samples, 1).unwrap();
    }
    let history = |wanted: Selection, registry: &mut Registry| {
        let history = message(&Cursor::new(wanted).history(registry));
        history["series"].as_array().unwrap().clone()
    };
    let all = history(Selection::default(), &mut registry);
    assert_eq!(all.len(), 3);
    for series in &all {
        let points = series["points"].as_array().unwrap();
        assert!(
            points.len() <= 10_000 && points.len() > 9_000,
            "{}",
            points.len()
        );
        assert!(
            points.iter().any(|point| point[1] == 9),
            "the extreme is kept"
        );
        assert_eq!(points.last().unwrap()[0], 1_700_000_049_999_u64);
        assert!(series.get("gap").is_none() && series.get("xy").is_none());
    }
    let tcp = Selection {
        tcp_only: true,
        ..Selection::default()
    };
    assert_eq!(history(tcp, &mut registry).len(), 2);
    let named = Selection {
        names: Some(["b".to_owned()].into()),
        since: Some(1.7e12 + 49_990.0),
        ..Selection::default()
    };
    let named = history(named, &mut registry);
    assert_eq!(named.len(), 1);
    assert_eq!(named[0]["points"].as_array().unwrap().len(), 10);
}

#[test]
fn series_are_limited_in_number_and_deleted_by_age() {
    let limits = Bounds {
        series: 3,
        age: 1000,
        ..Bounds::default()
    };
    let mut registry = Registry::new(limits);
    for name in ["a", "b", "c"] {
        let id = registry.open(name, true).unwrap();
        registry.append(id, &[(1.0, 1.0)], 500).unwrap();
    }
    let refused = registry.open("d", true).unwrap_err().to_string();
    assert!(refused.contains('3'), "{refused}");
    assert!(registry.open("a", true).is_ok());
    let a = registry.find("a").unwrap();
    registry.append(a, &[(2.0, 1.0)], 1400).unwrap();
    registry
        .sources
        .begin(registry.find("b").unwrap(), "b".into(), "here".into(), 1);
    registry.sweep(2000);
    // `a` is new enough, and a source writes into `b`.
    let names: Vec<_> = registry
        .all()
        .map(|series| series.name().to_owned())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        registry
            .all()
            .map(|series| series.history().held())
            .sum::<usize>(),
        2
    );
}

#[test]
fn samples_received_before_the_clock_was_set_are_kept() {
    const DAY: u64 = 24 * 3600 * 1000;
    let mut registry = Registry::new(Bounds::default());
    let id = registry.open("temp", true).unwrap();
    let xy = registry.open("sweep", true).unwrap();
    let now = 1_800_000_000_000;
    // The source's clock is right. The hub's starts in 1970.
    let samples: Vec<_> = (0..600).map(|i| ((now + i) as f64, 1.0)).collect();
    registry.append(id, &samples, 5_000).unwrap();
    registry.append(xy, &[(1.0, 2.0)], 5_000).unwrap();
    // A sweep that has reached the end starts again with the next call.
    let sweep = |registry: &mut Registry, now: u64| (0..2).for_each(|_| registry.sweep(now));
    sweep(&mut registry, 10_000);
    assert_eq!(registry.get(id).unwrap().clock_offset(), None);
    let kept =
        |registry: &Registry| [id, xy].map(|id| registry.get(id).map(|s| s.history().held()).ok());
    // The clock is set. The samples' age counts from then.
    sweep(&mut registry, now);
    sweep(&mut registry, now + 89 * DAY);
    assert_eq!(kept(&registry), [Some(600), Some(1)]);
    sweep(&mut registry, now + 91 * DAY);
    assert_eq!(kept(&registry), [None, None]);
}

#[test]
fn the_samples_of_all_series_together_are_limited() {
    let limits = Bounds {
        all_samples: 40_000,
        ..Bounds::default()
    };
    let mut registry = Registry::new(limits);
    for name in 0..20 {
        let id = registry.open(&name.to_string(), true).unwrap();
        for _ in 0..20 {
            let samples: Vec<_> = (0..1000).map(|i| (f64::from(i), 1.0)).collect();
            registry.append(id, &samples, 1).unwrap();
        }
    }
    // A sweep reduces the first series to their share.
    for now in 0..5 {
        registry.sweep(now);
    }
    let kept: usize = registry.all().map(|series| series.history().held()).sum();
    assert!(kept <= 40_000, "{kept}");
}

#[test]
fn a_late_viewer_gets_a_deletion_however_many_deletions_follow() {
    let mut registry = Registry::new(Bounds::default());
    let first = registry.open("first", true).unwrap();
    let mut cursor = Cursor::new(Selection::default());
    cursor.history(&mut registry);
    registry.delete(first).unwrap();
    for round in 0..10_000 {
        let id = registry.open(&format!("{round}"), true).unwrap();
        registry.delete(id).unwrap();
    }
    let batch = message(&cursor.batch(&mut registry).unwrap());
    assert_eq!(batch["series"].as_array().unwrap().len(), 1);
    assert_eq!(batch["series"][0]["id"], first);
    assert_eq!(cursor.series(), 0);
}

/// Adds `count` samples to the series, with consecutive y values.
fn go_on(registry: &mut Registry, id: u32, count: u64) {
    let Ok(series) = registry.get(id) else {
        return;
    };
    let from = series.history().end();
    let samples: Vec<_> = (from..from + count)
        .map(|y| (1.7e12 + y as f64, y as f64))
        .collect();
    registry.append(id, &samples, 1).unwrap();
}

#[test]
fn samples_that_arrive_between_two_pieces_are_in_the_next_message() {
    for (bound, step) in [(100_000, 700), (3000, 700), (3000, 5)] {
        let mut registry = Registry::new(bounds(bound));
        let ids = ["a", "b", "c"].map(|name| registry.open(name, true).unwrap());
        for &id in &ids {
            go_on(&mut registry, id, 5000);
        }
        // Each series stays below the limit of a history until its turn, so the history does not
        // thin it.
        let held = registry.get(ids[0]).unwrap().history().held() as u64;
        let mut cursor = Cursor::new(Selection::default());
        cursor.begin_history(&mut registry);
        let (mut given, mut histories) = (Given::default(), 0);
        for message in 0..4 {
            if message > 0 {
                assert!(cursor.begin_batch(&mut registry));
            }
            let (mut text, mut last) = (String::new(), false);
            while !last {
                let piece = cursor.piece(&registry).unwrap();
                text.push_str(&piece.text);
                last = piece.last;
                if message < 3 {
                    ids.iter().for_each(|&id| go_on(&mut registry, id, step));
                }
            }
            given.take(&text);
            if message == 0 {
                let counts = given.0.values().map(|(ys, _)| ys.len());
                histories = counts.max().unwrap();
            }
        }
        assert!(histories <= 10_000, "{histories}");
        let (first, _) = &given.0[&u64::from(ids[0])];
        assert!(first.len() as u64 >= held, "{} of {held}", first.len());
        for &id in &ids {
            let (ys, gap) = given.0.remove(&u64::from(id)).unwrap();
            assert!(
                ys.is_sorted_by(|one, other| one < other),
                "twice, or out of order"
            );
            let all = registry.get(id).unwrap().history().end();
            assert_eq!(*ys.last().unwrap(), (all - 1) as f64);
            if bound == 100_000 {
                assert_eq!((ys.len() as u64, gap), (all, 0));
            } else {
                // The samples missing from the history were thinned earlier.
                assert!(ys.len() as u64 + gap <= all);
            }
        }
    }
}

#[test]
fn a_series_that_is_deleted_between_two_pieces_is_reported_gone() {
    let mut registry = Registry::new(Bounds::default());
    let ids = ["a", "b"].map(|name| registry.open(name, true).unwrap());
    ids.iter().for_each(|&id| go_on(&mut registry, id, 9000));
    let mut cursor = Cursor::new(Selection::default());
    cursor.begin_history(&mut registry);
    let mut text = cursor.piece(&registry).unwrap().text;
    registry.delete(ids[0]).unwrap();
    text.push_str(&Whole::message(&mut cursor, &registry));
    let history = message(&text);
    assert_eq!(history["series"].as_array().unwrap().len(), 2);
    assert_eq!(
        history["series"][1]["points"].as_array().unwrap().len(),
        9000
    );
    let batch = message(&cursor.batch(&mut registry).unwrap());
    assert_eq!(batch["series"][0]["gone"], true, "{batch}");
}
