import { describe, expect, it } from 'vitest';
import { sampleNear } from './cursor-sample.ts';
import { HubClock } from './hub-clock.ts';
import { Samples } from './samples.ts';
import type { SeriesPart } from './series-message.ts';
import { SeriesSet } from './series-set.ts';

const NOW = 1_700_000_000_000;
const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000];

const part = (fields: Partial<SeriesPart>): SeriesPart => ({
  id: 1,
  name: 'a',
  unit: undefined,
  xy: false,
  clockOffset: undefined,
  gone: false,
  gap: 0,
  points: [],
  ...fields,
});

/** `count` samples at this interval, the newest `offset` ms from now. */
const points = (count: number, interval: number, offset = 0): [number, number][] =>
  Array.from({ length: count }, (_, index) => [NOW + offset - (count - 1 - index) * interval, index]);

const stoppedAt = (set: SeriesSet, now: number): number | undefined => {
  set.updateStopped(now);
  return set.get(1)?.stoppedSince;
};

describe('a series', () => {
  it.each([
    ['every 100 ms', 100, 9 * SECOND, 11 * SECOND],
    ['every second', SECOND, 9 * SECOND, 11 * SECOND],
    ['every ten seconds', 10 * SECOND, 29 * SECOND, 31 * SECOND],
    ['every hour', HOUR, 2.9 * HOUR, 3.1 * HOUR],
  ])('with a sample %s has stopped after a few of its intervals', (_, interval, before, after) => {
    const set = new SeriesSet();
    set.apply([part({ points: points(20, interval) })], true, NOW);
    expect(stoppedAt(set, NOW)).toBeUndefined();
    expect(stoppedAt(set, NOW + before)).toBeUndefined();
    expect(stoppedAt(set, NOW + after)).toBe(NOW);
    set.apply([part({ points: [[NOW + after, 1]] })], false, NOW + after);
    expect(stoppedAt(set, NOW + after)).toBeUndefined();
  });

  it('with a single sample has stopped after a minute', () => {
    const set = new SeriesSet();
    set.apply([part({ points: points(1, SECOND) })], true, NOW);
    expect([59, 61].map((age) => stoppedAt(set, NOW + age * SECOND))).toEqual([undefined, NOW]);
  });

  it('has stopped by the hub’s clock, whatever its source’s clock and the page’s are', () => {
    for (const offset of [HOUR, -HOUR]) {
      const set = new SeriesSet();
      const page = NOW + 2 * HOUR;
      set.apply([part({ points: points(20, SECOND, offset), clockOffset: offset })], true, page);
      // Another series tells the hub's clock.
      set.apply([part({ id: 2, name: 'b', points: [[NOW, 1]] })], false, page);
      expect(stoppedAt(set, page)).toBeUndefined();
      expect(stoppedAt(set, page + 15 * SECOND)).toBe(NOW);
    }
  });

  it('has not stopped between bursts', () => {
    const set = new SeriesSet();
    set.apply([part({ points: points(40, SECOND) })], true, NOW);
    for (let burst = 1; burst <= 4; burst++) {
      const page = NOW + burst * 40 * SECOND;
      // A burst arrives in two messages.
      set.apply([part({ points: points(20, SECOND, burst * 40 * SECOND - 20 * SECOND) })], false, page);
      set.apply([part({ points: points(20, SECOND, burst * 40 * SECOND) })], false, page + 30);
    }
    expect(stoppedAt(set, NOW + 199 * SECOND)).toBeUndefined();
    expect(stoppedAt(set, NOW + 290 * SECOND)).toBe(NOW + 160 * SECOND);
  });

  it('without times has stopped if it is silent after it was seen to send', () => {
    const set = new SeriesSet();
    const xy = (x: number): SeriesPart => part({ xy: true, points: [[x, 1]] });
    set.apply([xy(0)], true, NOW);
    expect(stoppedAt(set, NOW + HOUR)).toBeUndefined();
    for (let second = 0; second < 5; second++) set.apply([xy(second)], false, NOW + second * SECOND);
    expect(stoppedAt(set, NOW + 13 * SECOND)).toBeUndefined();
    expect(stoppedAt(set, NOW + 15 * SECOND)).toBe(NOW + 4 * SECOND);
  });
});

describe('the estimated clock of the hub', () => {
  it('is the highest of the recent estimates', () => {
    const clock = new HubClock();
    expect(clock.now(5)).toBe(5);
    // A history may be old, and only shows that the page's clock is behind.
    clock.observe(NOW - HOUR, NOW, true);
    expect(clock.now(NOW)).toBe(NOW);
    clock.observe(NOW + HOUR, NOW, true);
    expect(clock.now(NOW)).toBe(NOW + HOUR);
    clock.observe(NOW - MINUTE, NOW, false);
    expect(clock.now(NOW)).toBe(NOW - MINUTE);
    clock.observe(NOW - MINUTE - SECOND, NOW + SECOND, false);
    expect(clock.now(NOW)).toBe(NOW - MINUTE);
    clock.observe(NOW + SECOND, NOW + 2 * SECOND, false);
    expect(clock.now(NOW)).toBe(NOW - SECOND);
    // The hub's clock was set back.
    clock.observe(NOW - HOUR, NOW + 2 * MINUTE, false);
    expect(clock.now(NOW + 2 * MINUTE)).toBe(NOW - HOUR);
  });
});

describe('the sample at the cursor', () => {
  const samples = (sorted: boolean, xs: readonly number[]): Samples => {
    const made = new Samples(sorted);
    made.add(xs.map((x) => [x, x]));
    return made;
  };
  /** One sample a second, with a pause from 30 to 90 s. */
  const paused = samples(
    true,
    Array.from({ length: 121 }, (_, second) => second).flatMap((second) =>
      second > 30 && second < 90 ? [] : [second * SECOND],
    ),
  );

  it.each([
    [10.4, 10],
    [31, 30],
    [40, undefined],
    [60, undefined],
    [89, 90],
    [122, 120],
    [140, undefined],
    [-1, 0],
    [-60, undefined],
  ])('at %d s is that of %s s', (at, expected) => {
    const index = sampleNear(paused, at * SECOND, 100);
    expect(index === undefined ? undefined : paused.x(index) / SECOND).toBe(expected);
  });

  it('may be as far as the cursor is wide', () => {
    expect(sampleNear(paused, 60 * SECOND, 30 * SECOND)).toBeDefined();
    expect(sampleNear(samples(true, [5]), 6, 2)).toBe(0);
    expect(sampleNear(samples(true, [5]), 60, 2)).toBeUndefined();
    expect(sampleNear(samples(true, []), 60, 2)).toBeUndefined();
  });

  it('is found by x in an X-Y series, and in thinned parts by their own distance', () => {
    const xy = samples(false, [3, 1, 2, 0.5]);
    expect(sampleNear(xy, 1.2, 0)).toBe(1);
    expect(sampleNear(xy, 50, 1)).toBeUndefined();
    const coarse = samples(true, [
      ...Array.from({ length: 50 }, (_, i) => i * 100),
      ...paused.columns().xs.map((x) => x + 1e5),
    ]);
    expect(sampleNear(coarse, 2040, 0)).toBe(20);
  });
});
