import { expect, test } from 'vitest';
import { formatAge, formatRate, isStale } from './age.ts';

test.each([
  [-30, '0 ms'],
  [0, '0 ms'],
  [44.6, '45 ms'],
  [999, '999 ms'],
  [999.6, '1.0 s'],
  [1_234, '1.2 s'],
  [9_940, '9.9 s'],
  [9_960, '10 s'],
  [59_400, '59 s'],
  [59_600, '1 min'],
  [180_000, '3 min'],
  [3_599_000, '1 h'],
  [7_200_000, '2 h'],
  [172_800_000, '2 d'],
])('an age of %d ms is shown as %s', (milliseconds, text) => {
  expect(formatAge(milliseconds)).toBe(text);
});

test('a picture is stale after three seconds or five typical intervals, whichever is longer', () => {
  expect(isStale(2_999, 100)).toBe(false);
  expect(isStale(3_001, 100)).toBe(true);
  expect(isStale(3_001, 0)).toBe(true);
  expect(isStale(9_000, 2_000)).toBe(false);
  expect(isStale(10_001, 2_000)).toBe(true);
});

test('rates are rounded', () => {
  expect(formatRate(0)).toBe('');
  expect(formatRate(0.21)).toBe('0.2 fps');
  expect(formatRate(7.96)).toBe('8 fps');
});
