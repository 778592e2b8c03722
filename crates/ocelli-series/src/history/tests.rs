use super::*;

fn all(history: &History) -> Vec<Sample> {
    let mut samples = Vec::new();
    history.read(0, u64::MAX, |sample, _| {
        samples.push(sample);
        true
    });
    samples
}

fn history(count: u32, limit: usize) -> History {
    let mut history = History::default();
    for i in 0..count {
        let spike = if i % 5000 == 4321 {
            1000.0 + f64::from(i)
        } else {
            0.0
        };
        let dip = if i % 5000 == 1234 { -1000.0 } else { 0.0 };
        let y = f64::from(i % 7) + spike + dip;
        history.append(&[(f64::from(i), y)], u64::from(i));
        history.bound(limit);
    }
    history
}

#[test]
fn a_history_is_bounded_and_its_extremes_survive() {
    let history = history(200_000, 10_000);
    assert!(history.held() <= 10_000, "{}", history.held());
    assert_eq!(history.end(), 200_000);
    let all = all(&history);
    assert_eq!(all.len(), history.held());
    assert!(all.is_sorted_by_key(|sample| sample.0));
    for i in (4321..200_000).step_by(5000) {
        let spike = f64::from(i % 7) + 1000.0 + f64::from(i);
        assert!(all.contains(&(f64::from(i), spike)), "{i}");
    }
    for i in (1234..200_000).step_by(5000) {
        let dip = f64::from(i % 7) - 1000.0;
        assert!(all.contains(&(f64::from(i), dip)), "{i}");
    }
    // The newer part is whole.
    let newest = &all[all.len() - 4000..];
    assert!(newest.windows(2).all(|pair| pair[1].0 - pair[0].0 == 1.0));
    // A summary is even smaller and still has the extremes.
    let few = thinned(&all, 500);
    assert!(few.len() <= 500 && few.len() > 400, "{}", few.len());
    assert_eq!(few.last(), all.last());
    let spike = f64::from(199_321 % 7) + 1000.0 + 199_321.0;
    assert!(few.contains(&(199_321.0, spike)));
}

#[test]
fn a_late_reader_gets_the_exact_count_of_missed_samples() {
    let history = history(50_000, 5_000);
    for from in (0..50_000).step_by(37) {
        let (mut count, mut last) = (0, 0);
        let gap = history.read(from, u64::MAX, |sample, seen| {
            assert!(sample.0 >= from as f64);
            count += 1;
            last = seen;
            true
        });
        assert_eq!(gap + count, 50_000 - from, "from {from}");
        assert_eq!(last, 50_000);
    }
}

#[test]
fn reading_continues_where_it_stopped() {
    let history = history(30_000, 5_000);
    for step in [1, 100, 511, 512, 513, 4000] {
        let (mut next, mut count, mut gap) = (0, 0, 0);
        let mut before = -1.0;
        while next < history.end() {
            let mut here = 0;
            gap += history.read(next, u64::MAX, |sample, seen| {
                assert!(sample.0 > before);
                before = sample.0;
                here += 1;
                next = seen;
                here < step
            });
            count += here;
        }
        assert_eq!(gap + count, 30_000, "step {step}");
    }
}

#[test]
fn old_chunks_are_discarded_by_age() {
    let mut history = history(3000, 100_000);
    history.discard_before(1500);
    // The chunk that contains sample 1500 ends at 1535.
    assert_eq!(history.held(), 3000 - 1024);
    assert_eq!(history.read(0, u64::MAX, |_, _| true), 1024);
}

#[test]
fn stored_samples_are_restored_once() {
    let mut before = history(2000, 100_000);
    let chunks = before.take_unsaved();
    assert_eq!(chunks.len(), 3);
    let (start, journal) = before
        .take_unjournaled()
        .map(|(start, journal)| (start, journal.to_vec()))
        .expect("a tail");
    assert_eq!((start, journal.len()), (1536, 464));
    assert!(before.take_unjournaled().is_none() && before.take_unsaved().is_empty());
    before.append(&[(2000.0, 1.0)], 2000);
    assert_eq!(
        before.take_unjournaled(),
        Some((2000, &[(2000.0, 1.0)][..]))
    );

    let mut after = History::default();
    for chunk in chunks {
        assert!(after.restore_chunk(chunk.clone()));
        assert!(!after.restore_chunk(chunk), "the same again");
    }
    after.restore_journal(1536, &journal, 1999);
    after.restore_journal(1536, &journal, 1999);
    after.restore_journal(1900, &[&journal[364..], &[(2000.0, 1.0)]].concat(), 2000);
    assert_eq!(after.end(), before.end());
    assert_eq!(all(&after), all(&before));
    assert!(after.take_unsaved().is_empty() && after.take_unjournaled().is_none());
    // A tail that was saved as a chunk becomes a tail again.
    let mut third = History::default();
    let tail = after.tail_chunk().expect("a tail");
    assert!(third.restore_chunk(tail));
    third.append(&[(2001.0, 1.0)], 2001);
    assert_eq!((third.end(), third.held()), (2002, 466));
}
