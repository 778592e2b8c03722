import { expect, test } from 'vitest';
import { failureTexts } from './camera-text.ts';

const NOW = 10_000_000;
const failed = (reason: string, age: number) => ({ reason, at: NOW - age });

test('the current failure is shown once, with its time', () => {
  expect(failureTexts({ reason: null, lastFailure: null }, NOW)).toEqual([]);
  expect(failureTexts({ reason: '401', lastFailure: failed('401', 180_000) }, NOW)).toEqual([
    '401. Last failed 3 min ago.',
  ]);
  expect(failureTexts({ reason: '401', lastFailure: null }, NOW)).toEqual(['401.']);
});

test('the last failure is shown for an idle camera, or beside another reason', () => {
  expect(failureTexts({ reason: null, lastFailure: failed('401', 5_000) }, NOW)).toEqual([
    'Last failure, just now: 401.',
  ]);
  const both = { reason: 'no picture for 3 s', lastFailure: failed('substream: 404', 7_200_000) };
  expect(failureTexts(both, NOW)).toEqual(['No picture for 3 s.', 'Last failure, 2 h ago: Substream: 404.']);
});
