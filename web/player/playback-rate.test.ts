import { expect, test } from 'vitest';
import { steer } from './playback-rate.ts';

const TARGET = 0.1;

test.each([
  ['at the target', 0.1, 1, 1],
  ['a little behind', 0.13, 1, 1],
  ['behind', 0.2, 1, 1.1],
  ['far behind', 0.6, 1, 1.25],
  ['still a little behind while catching up', 0.13, 1.1, 1.1],
  ['caught up', 0.11, 1.1, 1],
  ['too close', 0.02, 1, 0.9],
  ['still too close while waiting', 0.07, 0.9, 0.9],
  ['no longer too close', 0.09, 0.9, 1],
])('%s', (_, distance, rate, expected) => {
  expect(steer(distance, TARGET, rate)).toEqual({ rate: expected });
});

test('jumps instead of playing faster for many seconds', () => {
  expect(steer(1.5, TARGET, 1)).toBe('jump');
});
