import { expect, test } from 'vitest';
import { splitAddress } from './camera-address.ts';

test.each([
  ['rtsp://viewer:secret@10.0.0.7/stream1', 'rtsp://10.0.0.7/stream1', 'viewer', 'secret'],
  [' http://viewer@cam.lan:81/?a=b ', 'http://cam.lan:81/?a=b', 'viewer', ''],
  ['rtsp://a:p%40ss:w@h/', 'rtsp://h/', 'a', 'p@ss:w'],
  ['rtsp://a:p@ss@h/', 'rtsp://h/', 'a', 'p@ss'],
  ['rtsp://a:100%@h', 'rtsp://h', 'a', '100%'],
])('%j is split', (text, address, user, password) => {
  expect(splitAddress(text)).toEqual({ address, user, password });
});

test.each(['', 'rtsp://10.0.0.7/stream1', 'http://h/a@b', 'viewer:secret@h', 'cam'])(
  '%j is not split',
  (text) => {
    expect(splitAddress(text)).toBeUndefined();
  },
);
