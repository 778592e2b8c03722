import { expect, test } from 'vitest';
import { Rate } from './rate.ts';

test('the rate is measured and falls when the pictures stop', () => {
  const rate = new Rate();
  expect(rate.fps(0)).toBe(0);
  for (let time = 0; time <= 2_000; time += 125) rate.add(time);
  expect(rate.interval).toBe(125);
  expect(rate.fps(2_100)).toBe(8);
  expect(rate.fps(3_000)).toBe(1);
  expect(rate.fps(20_000)).toBe(0);
});

test('one picture has no rate, and a requested pause does not count', () => {
  const rate = new Rate();
  rate.add(100);
  expect(rate.interval).toBe(0);
  rate.reset();
  rate.add(60_000);
  rate.add(60_500);
  expect(rate.fps(60_500)).toBe(2);
});

test('a slow camera keeps its rate between pictures', () => {
  const rate = new Rate();
  for (const time of [0, 5_000, 10_000]) rate.add(time);
  expect(rate.fps(14_000)).toBeCloseTo(0.2);
});
