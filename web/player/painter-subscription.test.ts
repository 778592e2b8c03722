// What the painter subscribes to, with a fake hub and a fake video decoder.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { StreamInfo } from '../client/events.ts';
import type { NotNative } from './messages.ts';
import { PainterRig, settle } from './painter-rig.ts';
import { h264Key, h265Key } from './testing.ts';

let rig: PainterRig;
beforeEach(() => (rig = new PainterRig()));
afterEach(() => vi.unstubAllGlobals());

const H264: StreamInfo[] = [{ name: 'main', codec: 'h264', type: 'avc1.64001f', width: 1280, height: 720 }];

const reasonOf = async (): Promise<NotNative | undefined> => {
  rig.jpeg(9);
  await settle();
  rig.paint();
  return rig.pictures()[0]?.notNative;
};

test('JPEG on a page that is not secure', async () => {
  await rig.start({ a: H264 }, 'insecure');
  rig.addSurface(640, 'a');
  rig.watch('a');
  expect(rig.subscriptions).toEqual([{ cameras: ['a'], codecs: [], stream: 'sub' }]);
  rig.key(1);
  expect(await reasonOf()).toEqual({ cause: 'insecure' });
});

test('JPEG for a camera that sends JPEG, whatever the browser decodes', async () => {
  await rig.start({ a: [{ name: 'main', codec: 'jpeg' }] });
  rig.addSurface(640, 'a');
  rig.watch('a');
  expect(rig.subscriptions).toEqual([{ cameras: ['a'], codecs: [], stream: 'sub' }]);
  expect(await reasonOf()).toEqual({ cause: 'sends', codec: 'jpeg' });
});

test('only codecs that the browser decodes, tested with the full type', async () => {
  rig.video.supports = (type) => type.startsWith('avc1');
  const type = 'hev1.1.6.L120.90';
  await rig.start({ a: [{ name: 'main', codec: 'h265', type }] });
  rig.addSurface(640, 'a');
  rig.watch('a');
  expect(rig.video.asked).toContain(type);
  expect(rig.subscriptions).toEqual([{ cameras: ['a'], codecs: ['h264', 'jpeg'], stream: 'sub' }]);
  expect(await reasonOf()).toEqual({ cause: 'unsupported', codec: 'h265', type });
});

test('a type that becomes known later changes the subscription', async () => {
  rig.video.supports = (type) => type !== 'avc1.f4001f';
  await rig.start({ a: [{ name: 'main', codec: 'h264' }] });
  rig.watch('a');
  expect(rig.subscriptions.at(-1)?.codecs).toEqual(['h264', 'h265', 'jpeg']);
  const streams = [{ name: 'main', codec: 'h264', type: 'avc1.f4001f' }];
  rig.platform.socket.event({ type: 'camera', camera: { id: 'a', state: 'live', streams } });
  await settle();
  expect(rig.subscriptions.at(-1)?.codecs).toEqual(['h265', 'jpeg']);
});

test.each([
  ['small', 200, 'sub'],
  ['large', 1000, 'main'],
])('a %s picture of a camera whose substream is JPEG', async (_, width, expected) => {
  await rig.start({ a: [...H264, { name: 'sub', codec: 'jpeg', width: 320, height: 180 }] });
  rig.addSurface(width, 'a');
  rig.watch('a');
  expect(rig.subscriptions.at(-1)).toMatchObject({ cameras: ['a'], stream: expected });
});

test('a main stream of which nothing is known is not opened for a substream that the browser does not decode', async () => {
  rig.video.supports = (type) => type.startsWith('avc1');
  await rig.start({ a: [{ name: 'sub', codec: 'h265', type: 'hev1.1.6.L93.90', width: 320, height: 180 }] });
  rig.addSurface(1000, 'a');
  rig.watch('a');
  expect(rig.subscriptions.at(-1)).toMatchObject({ cameras: ['a'], stream: 'sub' });
});

test('a browser that does not answer is not waited for', async () => {
  rig.video.isSupported = () => new Promise(() => undefined);
  await rig.start({ a: H264 });
  rig.watch('a');
  expect(rig.subscriptions).toEqual([]);
  rig.platform.advance(1_000);
  expect(rig.subscriptions).toEqual([{ cameras: ['a'], codecs: [], stream: 'sub' }]);
});

test('H.265 where the browser decodes it', async () => {
  await rig.start({ a: [{ name: 'main', codec: 'h265', type: 'hev1.1.6.L93.90' }] });
  rig.addSurface(640, 'a');
  rig.watch('a');
  rig.key(3, { codec: 3, payload: h265Key(3) });
  rig.paint();
  expect(rig.video.decoder.configs[0]?.codec).toBe('hev1.1.6.L93.90');
  expect(rig.pictures()).toMatchObject([{ codec: 'h265' }]);
});

test('more cameras than decoders: the last ones get JPEG', async () => {
  rig.video.maxDecoders = 2;
  await rig.start({ a: H264, b: H264, c: H264 });
  rig.addSurface(320, 'c', 'b', 'a');
  rig.watch('c', 'b', 'a');
  const last = rig.subscriptions.at(-1);
  expect(last).toMatchObject({ cameras: ['a'], codecs: [] });
  expect(await reasonOf()).toEqual({ cause: 'too-many', limit: 2 });
});

test('cameras that are watched before hello are subscribed once, as hello describes them', async () => {
  await rig.start({}, rig.video);
  rig.platform.socket.end();
  rig.addSurface(640, 'a');
  rig.watch('a');
  rig.platform.advance(1_000);
  const streams = [{ name: 'main', codec: 'jpeg' }];
  rig.platform.socket.event({
    type: 'hello',
    version: '0.1.0',
    time: 1,
    cameras: [{ id: 'a', state: 'live', streams }],
  });
  expect(rig.subscriptions).toEqual([{ cameras: ['a'], codecs: [], stream: 'sub' }]);
});

test('a camera with a substream is subscribed only when the size of its picture is known', async () => {
  await rig.start({ a: [...H264, { name: 'sub', codec: 'h264', width: 320, height: 180 }] });
  rig.watch('a');
  expect(rig.subscriptions).toEqual([]);
  rig.addSurface(640, 'a');
  expect(rig.subscriptions.map(({ stream }) => stream)).toEqual(['main']);
});

test('a substream that the browser does not decode does not take native video from the main stream', async () => {
  rig.video.supports = (type) => !type.startsWith('avc1.f4');
  const sub = { name: 'sub', codec: 'h264', type: 'avc1.f40016', width: 320, height: 180 };
  await rig.start({ a: [...H264, sub] });
  rig.addSurface(160, 'a');
  rig.watch('a');
  expect(rig.subscriptions).toEqual([{ cameras: ['a'], codecs: ['h264', 'h265', 'jpeg'], stream: 'main' }]);
  rig.key(1);
  rig.paint();
  expect(rig.pictures()).toMatchObject([{ codec: 'h264' }]);
  // A page may insist on the substream.
  rig.receive({ kind: 'watch', cameras: new Map([['a', { stream: 'sub', native: true }]]) });
  expect(rig.subscriptions.at(-1)).toEqual({ cameras: ['a'], codecs: ['h265', 'jpeg'], stream: 'sub' });
  expect(await reasonOf()).toEqual({ cause: 'unsupported', codec: 'h264', type: 'avc1.f40016' });
});

test('a main stream that the browser does not decode does not take native video from the substream', async () => {
  rig.video.supports = (type) => !type.startsWith('avc1.f4');
  const main = { name: 'main', codec: 'h264', type: 'avc1.f4001f', width: 1280, height: 720 };
  const sub = { name: 'sub', codec: 'h264', type: 'avc1.64000d', width: 320, height: 180 };
  await rig.start({ a: [main, sub] });
  rig.addSurface(1280, 'a');
  rig.watch('a');
  expect(rig.subscriptions).toEqual([{ cameras: ['a'], codecs: ['h264', 'h265', 'jpeg'], stream: 'sub' }]);
});

test('the main stream for a picture larger than the substream, without discarding the old picture', async () => {
  const streams: StreamInfo[] = [...H264, { name: 'sub', codec: 'h264', width: 640, height: 360 }];
  await rig.start({ a: streams });
  rig.addSurface(640, 'a');
  rig.watch('a');
  expect(rig.subscriptions.at(-1)?.stream).toBe('sub');
  rig.play(3);
  rig.paint();
  rig.place(1280, 'a');
  expect(rig.subscriptions.at(-1)?.stream).toBe('main');
  expect(rig.platform.socket.commands('unsubscribe')).toEqual([]);
  // The substream continues until the first key frame of the main stream.
  rig.delta(4);
  rig.paint();
  rig.key(5, { group: 9, flags: 3, payload: h264Key(5, [0x64, 0x00, 0x28]) });
  rig.paint();
  expect(rig.drawn).toEqual([3, 3, 4, 5]);
  expect(rig.video.open).toHaveLength(1);
  rig.place(640, 'a');
  expect(rig.subscriptions.at(-1)?.stream).toBe('sub');
});
