import { expect, test } from 'vitest';
import { clockText } from '../plot/clock-time.ts';
import {
  invalidLinesText,
  seriesSummary,
  sourceName,
  sourceProblems,
  sourceSummary,
  warnings,
  xUnitHint,
} from './series-text.ts';

const NOW = 1_700_000_000_000;
const SERIES = {
  id: 1,
  name: 'temp',
  unit: '°C',
  timed: true,
  points: 1234,
  newest: [NOW, 21.5],
  lastAt: NOW,
  clockOffsetMs: 0,
  sources: 1,
  malformed: 0,
  lastMalformed: null,
} as const;

test('a series is described in one line', () => {
  expect(seriesSummary(SERIES, NOW)).toBe('1,234 samples · newest 21.5 °C · just now · 1 source');
  const unused = { ...SERIES, points: 0, newest: null, lastAt: null, clockOffsetMs: null, sources: 0 };
  expect(seriesSummary(unused, NOW)).toBe('0 samples');
  expect(seriesSummary({ ...SERIES, clockOffsetMs: -12_000 }, NOW)).toContain('clock 12 s behind');
  expect(seriesSummary({ ...SERIES, clockOffsetMs: 1_999 }, NOW)).not.toContain('clock');
});

test.each([
  [-2_000, 'clock 2.0 s behind'],
  [12_400, 'clock 12 s ahead'],
  [-150_000, 'clock 3 min behind'],
  [7_200_000, 'clock 2 h ahead'],
  [-172_800_000, 'clock 2 days behind'],
])('an offset of %d ms is shown as "%s"', (offset, expected) => {
  expect(clockText(offset)).toBe(expected);
});

test('skipped lines are counted, and the last one is quoted', () => {
  expect(invalidLinesText(SERIES)).toBe('');
  expect(invalidLinesText({ malformed: 1, lastMalformed: 'x y' })).toBe('1 invalid line was skipped: “x y”');
  expect(invalidLinesText({ malformed: 2, lastMalformed: null })).toBe('2 invalid lines were skipped');
});

test('every fault produces a warning, and a healthy status produces none', () => {
  const healthy = {
    series: 3,
    maxSeries: 10_000,
    sources: 1,
    dropped: 0,
    ports: [{ key: 'tcp', address: '127.0.0.1:9876', fault: null }],
    fileFault: null,
  };
  expect(warnings(healthy)).toEqual([]);
  const ports = [{ key: 'tcp', address: '127.0.0.1:9876', fault: 'Address already in use' }];
  expect(warnings({ ...healthy, ports })[0]).toContain('127.0.0.1:9876: Address already in use.');
  expect(warnings({ ...healthy, fileFault: 'the disk is full' })[0]).toContain('the disk is full');
  expect(warnings({ ...healthy, series: 10_000 })[0]).toContain('10000');
  expect(warnings({ ...healthy, dropped: 2 })[0]).toContain('2 measurements');
});

test('a series whose x looks like a time in another unit has a hint', () => {
  expect(xUnitHint(SERIES)).toBe('');
  expect(xUnitHint({ timed: false, newest: null })).toBe('');
  expect(xUnitHint({ timed: false, newest: [0.5, 1] })).toBe('');
  expect(xUnitHint({ timed: false, newest: [NOW / 1000, 1] })).toBe(
    'The x values of this series look like seconds since 1970, so it is an X-Y series. To get a time axis, send milliseconds (x × 1000) under a new name, or delete the series first.',
  );
});

const SOURCE = {
  id: 1,
  name: 'temp',
  from: '10.0.0.7:51234',
  since: NOW,
  points: 3,
  malformed: 0,
  lastMalformed: null,
  endedAt: NOW,
  ended: 'the source closed the connection',
} as const;

test('a source is described with the reason why it ended', () => {
  expect(sourceSummary(SOURCE)).toMatch(
    /^3 samples · since .* · ended .*: the source closed the connection$/,
  );
  expect(sourceProblems(SOURCE)).toEqual([]);
  expect(sourceSummary({ ...SOURCE, endedAt: null, ended: null })).not.toContain('ended');
  expect(sourceName({ ...SOURCE, name: null })).toBe('a deleted series');
});

test('a source of which every line was invalid is not one of a deleted series, and has its reason', () => {
  const ended = 'none of its lines was a sample; a line must be “x y”, two numbers';
  const source = { ...SOURCE, points: 0, malformed: 2, lastMalformed: 'warm', ended };
  expect(sourceName(source)).toBe('temp');
  expect(sourceName({ ...source, name: null })).toBe('no series');
  expect(sourceSummary(source)).toMatch(/^0 samples · since .* · ended [^:]*:\d\d[^:]*$/);
  expect(sourceProblems(source)).toEqual([
    'None of its lines was a sample; a line must be “x y”, two numbers',
    '2 invalid lines were skipped, the last one: “warm”',
  ]);
  // While it is connected, only the lines are known.
  expect(sourceProblems({ ...source, endedAt: null, ended: null })).toHaveLength(1);
});
