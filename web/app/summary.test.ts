import { expect, test } from 'vitest';
import type { Link } from '../client/connection.ts';
import type { Camera, CameraState } from '../client/events.ts';
import { notice, summary } from './summary.ts';

const cameras = (...states: CameraState[]): Camera[] =>
  states.map((state, index) => ({
    id: `cam${index}`,
    name: `cam${index}`,
    state,
    codecs: ['jpeg'],
    streams: [],
  }));

const summaryText = (list: Camera[], running: boolean, link: Link): string => {
  const { total, states } = summary(list, running, link) ?? { total: '', states: [] };
  return [total, ...states].join(' · ');
};

test('the summary lists failed and stalled cameras before live ones', () => {
  expect(summary([], true, 'open')).toBeUndefined();
  expect(summaryText(cameras('live'), true, 'open')).toBe('1 camera · 1 live');
  expect(summaryText(cameras('live', 'starting', 'stalled', 'failed', 'failed'), true, 'open')).toBe(
    '5 cameras · 2 failed · 1 stalled · 1 live',
  );
  expect(summaryText(cameras('live', 'idle'), false, 'open')).toBe('2 cameras · stopped');
});

test('without a connection no camera counts as live', () => {
  expect(summaryText(cameras('live', 'live'), true, 'reconnecting')).toBe('2 cameras · not connected');
  expect(summaryText(cameras('live', 'live'), true, 'fallback')).toContain('2 live');
});

test('a notice is shown only when something is wrong', () => {
  expect(notice('open', true)).toBe('');
  expect(notice('connecting', false)).toBe('');
  expect(notice('reconnecting', true)).toContain('Reconnecting');
  expect(notice('fallback', true)).toContain('MJPEG');
});
