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
  expect(delay.target(10, now)).toBeGreaterThan(30 + 15 + 9);
  expect(delay.target(10, now)).toBeLessThanOrEqual(30 + 15 + 10);
});

test('it is that of the picture, but no less than late units need', () => {
  const delay = new SoundDelay();
  const now = arrive(delay, [20, 20]);
  delay.pictured(200, now);
  expect(delay.target(10, now)).toBe(200);
  delay.pictured(30, now);
  expect(delay.target(10, now)).toBe(45);
});

test('late units raise it only so far that the sound stays close to the picture', () => {
  const delay = new SoundDelay();
  const now = arrive(delay, [20, 20, 140]);
  expect(delay.target(10, now)).toBeGreaterThan(150);
  delay.pictured(50, now);
  expect(delay.target(10, now)).toBe(110);
  // What every unit needs comes first.
  expect(delay.target(90, now)).toBeCloseTo(20 + 15 + 90, 0);
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
  expect(delay.target(0, now)).toBe(835);
  expect(delay.target(0, now + 4_000)).toBe(35);
});

test('one unit that is very late raises it by a bounded amount', () => {
  const delay = new SoundDelay();
  const now = arrive(delay, [20, 1_500, 20]);
  expect(delay.target(0, now)).toBeLessThanOrEqual(20 + 150 + 15);
});

test('where units are missing, the delays before are forgotten', () => {
  const delay = new SoundDelay();
  arrive(delay, [160, 170]);
  delay.arrived(20, 60, false);
  expect(delay.target(0, 60)).toBe(35);
});

test('the delays before a clock was set are forgotten', () => {
  const delay = new SoundDelay();
  const now = arrive(delay, [20, 3_600_000, 20, 20]);
  expect(delay.target(0, now)).toBe(35);
});
