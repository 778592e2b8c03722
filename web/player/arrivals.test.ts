import { expect, test } from 'vitest';
import { Arrivals, type Form } from './arrivals.ts';

const START = 1_000_000;

function started(form: Form): Arrivals {
  const arrivals = new Arrivals();
  arrivals.restart(START, form);
  return arrivals;
}

/** Pictures that arrive ten times a second with these delays, one for each second. */
function arrive(arrivals: Arrivals, delays: readonly number[], from = START): number {
  let now = from;
  for (const delay of delays) {
    for (let step = 0; step < 10; step++) arrivals.arrived(delay, (now += 100));
  }
  return now;
}

const counts = (sent: number, dropped: number, lagging = false) => ({ sent, dropped, viewers: 1, lagging });

test('pictures that arrive in time are not late', () => {
  const arrivals = started('native');
  expect(arrivals.isLate(START + 5_000)).toBe(false);
  const now = arrive(arrivals, [200, 900, 1_400, 300]);
  expect(arrivals.isLate(now)).toBe(false);
});

test('pictures whose delay grows are late, and those that catch up are not', () => {
  const arrivals = started('native');
  let now = arrive(arrivals, [500, 1_200, 2_000, 2_800]);
  expect(arrivals.isLate(now)).toBe(true);
  now = arrive(arrivals, [2_300, 1_900], now);
  expect(arrivals.isLate(now)).toBe(false);
  now = arrive(arrivals, [1_900, 1_900], now);
  expect(arrivals.isLate(now), 'it stays behind').toBe(true);
  expect(arrivals.isVeryLate(now)).toBe(false);
  now = arrive(arrivals, [3_200, 3_200], now);
  expect(arrivals.isVeryLate(now)).toBe(true);
});

test('what a subscription starts with, what is left of the one before, and one that has ended, are not late', () => {
  const arrivals = started('native');
  // Seven seconds of pictures wait in the network.
  let now = arrive(arrivals, [7_000, 7_000, 7_000, 7_000, 7_000, 7_000]);
  expect(arrivals.isLate(now)).toBe(false);
  now = arrive(arrivals, [5_500, 5_000], now);
  expect(arrivals.isLate(now)).toBe(false);
  now = arrive(arrivals, [3_000, 3_000, 3_000], now);
  expect(arrivals.isLate(now)).toBe(true);
  expect(arrivals.isLate(now + 6_000), 'the camera sends nothing').toBe(false);
  arrivals.restart(now);
  expect(arrivals.isLate(now + 2_000)).toBe(false);
});

test('a key frame on its own may take longer', () => {
  const arrivals = started('keys');
  const now = arrive(arrivals, [2_500, 2_500, 2_500]);
  expect(arrivals.isLate(now)).toBe(false);
  const later = arrive(arrivals, [3_500, 3_500], now);
  expect(arrivals.isLate(later + 9_000), 'until the next one').toBe(true);
});

test('native video that lags or is overtaken is too slow, the more so if most of it is left out', () => {
  const arrivals = started('native');
  const report = (second: number, sent: number, dropped: number, lagging = false): string =>
    arrivals.counted(counts(sent, dropped, lagging), START + second * 1_000);
  expect(report(1, 0, 0)).toBe('none');
  expect(report(2, 15, 1)).toBe('none');
  expect(report(3, 25, 6)).toBe('some');
  expect(report(4, 40, 6, true)).toBe('some');
  expect(report(5, 2, 0), 'another subscription').toBe('none');
  arrivals.restart(START + 5_000);
  expect(report(5.5, 5, 30, true), 'the one before').toBe('none');
  // A group of four seconds, of which one is sent.
  expect(report(7, 0, 0)).toBe('none');
  expect(report(8, 12, 0, true)).toBe('some');
  expect(report(9, 12, 0, true)).toBe('some');
  expect(report(10, 13, 46)).toBe('most');
  expect(report(11, 25, 46, true)).toBe('most');
});

test('what key frames leave out is not lost', () => {
  const arrivals = started('keys');
  arrivals.counted(counts(0, 0), START + 1_000);
  expect(arrivals.counted(counts(1, 29), START + 3_000)).toBe('none');
});

test('JPEG is too slow only if it is late and most of it is left out', () => {
  const arrivals = started('jpeg');
  arrivals.counted(counts(0, 0), START + 1_000);
  const now = arrive(arrivals, [700, 700]);
  arrivals.counted(counts(8, 2), now);
  expect(arrivals.isLate(now)).toBe(false);
  arrivals.counted(counts(10, 10), now + 1_000);
  expect(arrivals.isLate(now + 1_000)).toBe(true);
  arrive(arrivals, [100, 100], now);
  arrivals.counted(counts(11, 19), now + 2_000);
  expect(arrivals.isLate(now + 2_000), 'left out because the page paints slowly').toBe(false);
});
