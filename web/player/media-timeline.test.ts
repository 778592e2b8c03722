import { describe, expect, test } from 'vitest';
import type { SampleTimes } from './fragmented-mp4.ts';
import { MediaTimeline } from './media-timeline.ts';

const NOON = 1_790_000_000_000_000;
const INTERVAL = 40_000;

/** Times of units with these capture times in intervals after noon. The first is a key frame. */
function play(timeline: MediaTimeline, captures: readonly number[]): SampleTimes[] {
  return captures.flatMap((at, index) => timeline.next(NOON + at * INTERVAL, index === 0) ?? []);
}

const count = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

/** The steps between presentation times, in intervals. */
const steps = (times: readonly SampleTimes[]): number[] =>
  times.slice(1).map(({ presentationTime }, index) => {
    const before = times[index]?.presentationTime ?? 0;
    return Math.round(((presentationTime - before) / INTERVAL) * 10) / 10;
  });

/** What browsers need: decoding times rise, and by no more than twice the duration of the unit before. */
function expectDecodable(times: readonly SampleTimes[]): void {
  times.slice(1).forEach(({ decodeTime }, index) => {
    const before = times[index];
    if (!before) return;
    expect(decodeTime).toBeGreaterThan(before.decodeTime);
    expect(decodeTime - before.decodeTime).toBeLessThanOrEqual(2 * before.duration);
  });
}

test('pictures are as far apart as they were captured', () => {
  const times = play(new MediaTimeline(), [...count(0, 20), 20.5, 21.2, 22]);
  expect(steps(times).slice(-3)).toEqual([1.5, 0.7, 0.8]);
  expectDecodable(times);
  for (const { decodeTime, presentationTime } of times)
    expect(decodeTime).toBeLessThanOrEqual(presentationTime);
});

test('a picture stays until the next one, also if that is late', () => {
  const times = play(new MediaTimeline(), count(0, 40));
  for (const { duration } of times) expect(duration).toBeGreaterThanOrEqual(2 * INTERVAL);
});

test('pictures that are shown in another order than decoded keep their times', () => {
  const timeline = new MediaTimeline();
  const captures = count(0, 20).flatMap((group) => [0, -2, -1].map((at) => 3 * group + 3 + at));
  const times = play(timeline, [0, ...captures]);
  const shown = times.map(({ presentationTime }) => presentationTime).sort((a, b) => a - b);
  expect(shown.slice(1).map((at, index) => at - (shown[index] ?? 0))).toEqual(
    Array.from({ length: 60 }, () => INTERVAL),
  );
  expectDecodable(times);
});

test('notices the order of the pictures', () => {
  const timeline = new MediaTimeline();
  play(timeline, [0, 1, 2, 3]);
  expect(timeline).toMatchObject({ isReordered: false, stepBack: 0 });
  play(timeline, [6, 9, 7, 8, 12, 10, 11, 15]);
  expect(timeline.isReordered).toBe(true);
  expect(timeline.stepBack).toBeGreaterThan(1.9 * INTERVAL);
  expect(timeline.stepBack).toBeLessThanOrEqual(2 * INTERVAL);
});

describe('there is no hole', () => {
  test.each([
    ['after units were skipped', 100],
    ['after the clock was set forward', 90_000],
    ['after the clock was set back', -90_000],
  ])('%s', (_, jump) => {
    const timeline = new MediaTimeline();
    const times = play(timeline, [...count(0, 20), ...count(20 + jump, 30 + jump)]);
    expect(steps(times).slice(-11)).toEqual(Array.from({ length: 11 }, () => 1));
    expectDecodable(times);
    expect(timeline.captureTime(times.at(-1)?.presentationTime ?? 0)).toBe(NOON + (29 + jump) * INTERVAL);
  });

  test('with a camera that sends a picture every 5 s', () => {
    const timeline = new MediaTimeline();
    const times = play(
      timeline,
      count(0, 30).map((at) => at * 125),
    );
    times.slice(1).forEach(({ presentationTime }, index) => {
      const before = times[index];
      expect(presentationTime).toBeLessThanOrEqual((before?.presentationTime ?? 0) + (before?.duration ?? 0));
    });
    expectDecodable(times);
  });
});

test('a key frame is shown after everything before it', () => {
  const timeline = new MediaTimeline();
  const times = play(timeline, count(0, 20));
  // Another stream of the camera, whose clock is behind.
  const key = timeline.next(NOON + 17 * INTERVAL, true);
  expect(key?.presentationTime).toBeGreaterThan(times.at(-1)?.presentationTime ?? 0);
  expect(timeline.captureTime(key?.presentationTime ?? 0)).toBe(NOON + 17 * INTERVAL);
});

test('the capture time of a picture is that of the last unit that is not later', () => {
  const timeline = new MediaTimeline();
  const [, second] = play(timeline, [0, 3, 1, 2]);
  const at = second?.presentationTime ?? 0;
  expect(timeline.captureTime(at)).toBe(NOON + 3 * INTERVAL);
  expect(timeline.captureTime(at - INTERVAL / 2)).toBe(NOON + 2 * INTERVAL);
  // Browsers round.
  expect(timeline.captureTime(at - 1)).toBe(NOON + 3 * INTERVAL);
  expect(new MediaTimeline().captureTime(at)).toBeUndefined();
});

test('no picture is shown before a closed key frame, whose time may be too late', () => {
  const times = play(new MediaTimeline(), [5, 5.1, 3, 4, 8, 6, 7, 11, 9, 10, 14]);
  expect(times).toHaveLength(11);
  const [first, ...others] = times.map(({ presentationTime }) => presentationTime);
  expect(Math.min(...others)).toBeGreaterThan(first ?? 0);
  expect(steps(times).slice(-4)).toEqual([4, -2, 1, 4]);
  expectDecodable(times);
});

test('pictures before an open key frame are skipped at the start, and shown later', () => {
  const timeline = new MediaTimeline();
  const open = (at: number, isKey = false): number | undefined =>
    timeline.next(NOON + at * INTERVAL, isKey, false)?.presentationTime;
  expect(open(3, true)).toBeDefined();
  expect([open(1), open(2)]).toEqual([undefined, undefined]);
  expect(open(6)).toBeDefined();
  const key = open(9, true) ?? 0;
  expect((open(7) ?? 0) - key).toBeCloseTo(-2 * INTERVAL);
});
