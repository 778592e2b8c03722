import { expect, test } from 'vitest';
import { troubleWords } from './camera-words.ts';

const NOW = 10_000_000;
const failed = (reason: string, before: number) => ({ reason, at: NOW - before });

test('the current failure is shown once, with its time', () => {
  expect(troubleWords({ reason: null, lastFailure: null }, NOW)).toEqual([]);
  expect(troubleWords({ reason: '401', lastFailure: failed('401', 180_000) }, NOW)).toEqual([
    '401 (3 min ago)',
  ]);
  expect(troubleWords({ reason: '401', lastFailure: null }, NOW)).toEqual(['401']);
});

test('the last failure is shown for an idle camera, or beside another reason', () => {
  expect(troubleWords({ reason: null, lastFailure: failed('401', 5_000) }, NOW)).toEqual([
    'Last failure, just now: 401',
  ]);
  const both = { reason: 'no picture for 3 s', lastFailure: failed('substream: 404', 7_200_000) };
  expect(troubleWords(both, NOW)).toEqual(['no picture for 3 s', 'Last failure, 2 h ago: substream: 404']);
});
