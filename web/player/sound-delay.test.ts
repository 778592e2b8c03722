import { expect, test } from 'vitest';
import { SoundDelay } from './sound-delay.ts';

const arrive = (delay: SoundDelay, values: number[], start = 0): number => {
  let now = start;
  for (const value of values) delay.arrived(value, (now += 20));
  return now;
};

test('without a picture it is what late units need', () => {
  const delay = new SoundDelay();
  const now = arrive(delay, [20, 22, 30, 21, 20]);
  expect(delay.target(10, now)).toBeCloseTo(30 + 40 + 10, 0);
});

test('it is that of the picture, but no less than late units need', () => {
  const delay = new SoundDelay();
  const now = arrive(delay, [20, 20]);
  delay.pictured(200, now);
  expect(delay.target(10, now)).toBe(200);
  delay.pictured(30, now);
  expect(delay.target(10, now)).toBe(70);
});

test('noise of the picture is smoothed, and a change is followed at once', () => {
  const delay = new SoundDelay();
  const now = arrive(delay, [20]);
  delay.pictured(200, now);
  delay.pictured(240, now);
  expect(delay.target(0, now)).toBe(210);
  delay.pictured(500, now);
  expect(delay.target(0, now)).toBe(500);
});

test('it waits for the picture less than a second, and not at all without new pictures', () => {
  const delay = new SoundDelay();
  const now = arrive(delay, [20]);
  delay.pictured(5_000, now);
  expect(delay.target(0, now)).toBe(860);
  expect(delay.target(0, now + 4_000)).toBe(60);
});

test('one unit that is very late raises it by a bounded amount', () => {
  const delay = new SoundDelay();
  const now = arrive(delay, [20, 1_500, 20]);
  expect(delay.target(0, now)).toBeLessThanOrEqual(20 + 300 + 40);
});

test('the delays before a clock was set are forgotten', () => {
  const delay = new SoundDelay();
  const now = arrive(delay, [20, 3_600_000, 20, 20]);
  expect(delay.target(0, now)).toBe(60);
});
