import { expect, test } from 'vitest';
import type { Camera, CameraState } from '../client/events.ts';
import { notice, summary } from './summary.ts';

const cameras = (...states: CameraState[]): Camera[] =>
  states.map((state, index) => ({ id: `cam${index}`, name: `cam${index}`, state, codecs: ['jpeg'] }));

test('the summary counts what is well and names what is not', () => {
  expect(summary([], true, 'open')).toBe('');
  expect(summary(cameras('live'), true, 'open')).toBe('1 camera · 1 live');
  expect(summary(cameras('live', 'starting', 'stalled', 'failed', 'failed'), true, 'open')).toBe(
    '5 cameras · 1 live · 1 stalled · 2 failed',
  );
  expect(summary(cameras('live', 'idle'), false, 'open')).toBe('2 cameras · stopped');
});

test('without a connection nothing is called live', () => {
  expect(summary(cameras('live', 'live'), true, 'reconnecting')).toBe('2 cameras · not connected');
  expect(summary(cameras('live', 'live'), true, 'fallback')).toContain('2 live');
});

test('a notice only when something is wrong', () => {
  expect(notice('open', true)).toBe('');
  expect(notice('connecting', false)).toBe('');
  expect(notice('reconnecting', true)).toContain('Reconnecting');
  expect(notice('fallback', true)).toContain('MJPEG');
});
