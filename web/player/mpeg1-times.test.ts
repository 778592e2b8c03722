import { expect, test } from 'vitest';
import { Mpeg1Times } from './mpeg1-times.ts';

/** Paints a picture every 40 ms, each captured 80 ms before. */
function play(times: Mpeg1Times, from: number, to: number): void {
  for (let now = from; now <= to; now += 40) times.painted(now);
}

test('the age of a playing stream is the delay from capture to painting', () => {
  const times = new Mpeg1Times();
  play(times, 1_000, 2_000);
  times.reported(85, 2_005);
  expect(times.paintedAge).toBe(80);
  play(times, 2_040, 2_400);
  expect(2_400 - times.capturedAt).toBe(80);
});

test('in a stall the age grows by one second per second', () => {
  const times = new Mpeg1Times();
  play(times, 1_000, 2_000);
  // The stall begins before the first report.
  for (let now = 2_500; now <= 12_500; now += 1_000) {
    times.reported(now - 1_920, now);
    expect(now - times.capturedAt).toBe(now - 1_920);
    expect(times.paintedAge).toBe(80);
  }
  // The first picture afterwards has the usual delay again.
  times.painted(13_000);
  expect(13_000 - times.capturedAt).toBe(80);
});

test('a report that overtakes its picture does not give a negative delay', () => {
  const times = new Mpeg1Times();
  times.painted(1_000);
  times.reported(10, 1_039);
  expect(times.paintedAge).toBe(0);
});
