import { expect, test } from 'vitest';
import type { StreamInfo } from '../client/events.ts';
import { chooseStream } from './stream-choice.ts';

const streams: StreamInfo[] = [
  { name: 'main', codec: 'h264', width: 1920 },
  { name: 'sub', codec: 'h264', width: 640 },
];

test('a picture wider than the substream gets the main stream', () => {
  expect(chooseStream(streams, 320, undefined)).toBe('sub');
  expect(chooseStream(streams, 700, undefined)).toBe('sub');
  expect(chooseStream(streams, 710, undefined)).toBe('main');
});

test('and keeps it until it is no wider than the substream', () => {
  expect(chooseStream(streams, 700, 'main')).toBe('main');
  expect(chooseStream(streams, 640, 'main')).toBe('sub');
  expect(chooseStream(streams, 700, 'sub')).toBe('sub');
});

test('without a substream of a known size it stays with the default', () => {
  expect(chooseStream([{ name: 'main', codec: 'h264', width: 1920 }], 2_000, 'sub')).toBe('sub');
  expect(chooseStream([...streams.slice(0, 1), { name: 'sub', codec: 'h264' }], 2_000, 'main')).toBe('sub');
});
