import { expect, test } from 'vitest';
import { DecoderLadder } from './decoder-ladder.ts';

const fail = (ladder: DecoderLadder, now = 0, hasSub = true): string => {
  ladder.failed('silent', false, hasSub, now);
  return ladder.step;
};

test('hardware, software, substream, JPEG', () => {
  const ladder = new DecoderLadder();
  expect(ladder.step).toBe('hardware');
  expect([1, 2, 3, 4].map(() => fail(ladder))).toEqual(['software', 'sub', 'jpeg', 'jpeg']);
  expect(ladder.cause).toBe('silent');
});

test('a camera without a substream skips it, in both directions', () => {
  const ladder = new DecoderLadder();
  expect([1, 2].map(() => fail(ladder, 0, false))).toEqual(['software', 'jpeg']);
  ladder.climb(60_000);
  expect(ladder.step).toBe('software');
  ladder.climb(120_000);
  expect(ladder.step).toBe('hardware');
});

test('it climbs one step at a time, and back to where it was', () => {
  const ladder = new DecoderLadder();
  // The substream has no smaller one.
  for (const hasSub of [true, true, false]) fail(ladder, 0, hasSub);
  ladder.climb(60_000);
  expect(ladder.step).toBe('sub');
  expect(fail(ladder, 65_000, false)).toBe('jpeg');
  ladder.climb(200_000);
  expect(ladder.step, 'the camera still has it').toBe('sub');
});

test('an attempt that fails doubles the wait, up to five minutes; one that holds resets it', () => {
  const ladder = new DecoderLadder();
  for (let step = 0; step < 3; step++) fail(ladder);
  let now = 0;
  const waits: number[] = [];
  for (let attempt = 0; attempt < 5; attempt++) {
    waits.push(ladder.wait / 1000);
    now += ladder.wait;
    ladder.climb(now);
    fail(ladder, now + 5_000);
  }
  expect(waits).toEqual([60, 120, 240, 300, 300]);
  now += ladder.wait;
  ladder.climb(now);
  fail(ladder, now + 301_000);
  expect(ladder.wait).toBe(60_000);
});

test('single errors of a decoder that works are forgiven', () => {
  const ladder = new DecoderLadder();
  const error = (now: number): boolean => ladder.failed('error', true, true, now);
  expect([0, 1_000, 70_000, 71_000].map(error)).toEqual([false, false, false, false]);
  expect(error(72_000)).toBe(true);
  expect(ladder.step).toBe('software');
});

test('a browser that refuses to start video gets JPEG at once', () => {
  const ladder = new DecoderLadder();
  ladder.failed('refused', false, true, 0);
  expect(ladder.step).toBe('jpeg');
});
