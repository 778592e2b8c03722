import { expect, test } from 'vitest';
import { MARKS, type Marked } from './legend-marks.ts';
import { MAX_SAMPLES, Samples } from './samples.ts';

const NOW = new Date(2026, 4, 3, 14, 3, 12).getTime();
const DAY = 86_400_000;
const SERIES = {
  stoppedSince: undefined,
  clockOffset: undefined,
  missed: 0,
  samples: new Samples(true),
  timed: true,
};

const marks = (fields: Partial<Marked>): string[] =>
  MARKS.map((mark) => mark.text({ ...SERIES, ...fields }, NOW)).filter((text) => text !== '');

const full = (sorted: boolean): Samples => {
  const samples = new Samples(sorted);
  for (let batch = 0; batch < 11; batch++)
    samples.add(
      Array.from({ length: MAX_SAMPLES / 10 }, (_, index) => [
        NOW + (batch * MAX_SAMPLES) / 10 + index - 1.1 * MAX_SAMPLES,
        index,
      ]),
    );
  return samples;
};

test('a series without problems has no marks', () => {
  expect(marks({})).toEqual([]);
});

test('a stopped series shows since when', () => {
  expect(marks({ stoppedSince: NOW - 60_000 })[0]).toBe('stopped since 14:02:12');
  expect(marks({ stoppedSince: NOW - DAY })[0]).toMatch(/^stopped since .*2026, 14:03:12$/);
});

test('a series with thinned samples shows before which time', () => {
  const [mark] = marks({ samples: full(true) });
  expect(mark).toMatch(/^thinned before 14:0\d:\d\d$/);
  expect(marks({ samples: full(false), timed: false })).toEqual(['thinned']);
});

test('wrong clocks and missed samples are shown', () => {
  expect(marks({ clockOffset: -12_000, missed: 3 })).toEqual(['clock 12 s behind', '3 missed']);
});
