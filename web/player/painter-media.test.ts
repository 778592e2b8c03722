// The painter of a page without video decoders, whose media elements play the cameras.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { StreamInfo } from '../client/events.ts';
import { PainterRig, settle } from './painter-rig.ts';
import { h264Delta, h264Key } from './testing.ts';

const H264: StreamInfo[] = [{ name: 'main', codec: 'h264', type: 'avc1.64001f', width: 1280, height: 720 }];

let rig: PainterRig;
beforeEach(() => (rig = new PainterRig()));
afterEach(() => vi.unstubAllGlobals());

/** Answers as a page whose elements play H.264. */
async function answer(): Promise<void> {
  for (const message of rig.toMedia)
    if (message.kind === 'ask')
      rig.fromMedia({ kind: 'answer', type: message.type, isSupported: message.type.startsWith('avc1') });
  await settle();
}

const units = (): (readonly [boolean, number | undefined])[] =>
  rig.toMedia
    .filter((message) => message.kind === 'unit')
    .map(({ unit }) => [unit.isKey, unit.payload.at(-1)]);

const players = (kind: 'start' | 'stop'): number[] =>
  rig.toMedia.flatMap((message) => (message.kind === kind ? [message.player] : []));

async function start(cameras: Record<string, StreamInfo[]> = { a: H264 }): Promise<void> {
  await rig.start(cameras, 'insecure', true);
  rig.addSurface(640, ...Object.keys(cameras));
  rig.watch(...Object.keys(cameras));
  await answer();
}

const show = (player = 1, captureTime = rig.platform.time * 1000): void => {
  rig.fromMedia({ kind: 'shown', player, captureTime, width: 1280, height: 720 });
  rig.paint();
};

test('a page without media elements gets JPEG, with the reason', async () => {
  await rig.start({ a: H264 }, 'insecure');
  rig.addSurface(640, 'a');
  rig.watch('a');
  rig.jpeg(1);
  await settle();
  rig.paint();
  expect(rig.subscriptions.at(-1)?.codecs).toEqual([]);
  expect(rig.pictures()[0]?.notNative).toEqual({ cause: 'insecure' });
});

test('a page with video decoders uses those', async () => {
  await rig.start({ a: H264 }, rig.video, true);
  rig.watch('a');
  rig.key(1);
  expect(rig.toMedia).toEqual([]);
  expect(rig.video.decoders).toHaveLength(1);
});

describe('playing', () => {
  beforeEach(() => start());

  test('subscribes with what the elements play, and hands over units from a key frame on', () => {
    expect(rig.subscriptions.map(({ codecs }) => codecs)).toEqual([['h264', 'jpeg']]);
    rig.delta(1);
    rig.key(2);
    rig.delta(3);
    rig.delta(4, { group: 5 });
    rig.key(6, { group: 6 });
    expect(players('start')).toEqual([1]);
    expect(units()).toEqual([
      [true, 2],
      [false, 3],
      [true, 6],
    ]);
  });

  test('returns credit when the page has taken a unit, or when a unit is skipped', async () => {
    rig.play(8);
    await settle();
    expect(rig.returned).toBe(0);
    for (let unit = 0; unit < 8; unit++) rig.fromMedia({ kind: 'taken', player: 1 });
    await settle();
    expect(rig.returned).toBeGreaterThanOrEqual(8);
    const before = rig.returned;
    for (let mark = 0; mark < 20; mark++) rig.delta(mark, { group: 9 });
    await settle();
    expect(rig.returned).toBeGreaterThanOrEqual(before + 10);
  });

  test('a picture on the screen counts as painted, with its age', () => {
    rig.key(1);
    const captureTime = rig.platform.time * 1000;
    rig.platform.advance(120);
    show(1, captureTime);
    expect(rig.pictures()).toMatchObject([
      { codec: 'h264', width: 1280, height: 720, painted: 1, captureTime, paintedAge: 120 },
    ]);
    expect(rig.pictures()[0]?.notNative).toBeUndefined();
    expect(rig.drawn).toEqual([]);
  });

  test('a frozen camera keeps its last picture, on the canvas', () => {
    rig.key(1);
    show();
    rig.receive({ kind: 'freeze', camera: 'a', frozen: true });
    expect(players('stop')).toEqual([1]);
    const image = { mark: 77, close: vi.fn() } as unknown as ImageBitmap;
    rig.fromMedia({ kind: 'still', player: 1, image });
    rig.paint();
    expect(rig.drawn).toEqual([77]);
    expect(rig.pictures()).toMatchObject([{ codec: 'h264', painted: 1 }]);
  });

  test('a last picture that is no longer needed is closed', async () => {
    rig.key(1);
    show();
    rig.jpeg(5);
    await settle();
    rig.paint();
    const close = vi.fn();
    rig.fromMedia({ kind: 'still', player: 1, image: { mark: 77, close } as unknown as ImageBitmap });
    rig.paint();
    expect(close).toHaveBeenCalledTimes(1);
    expect(rig.drawn).toEqual([5]);
  });

  test('a camera out of sight releases its element', () => {
    rig.key(1);
    show();
    rig.watch();
    expect(players('stop')).toEqual([1]);
    rig.watch('a');
    rig.key(2, { group: 2 });
    expect(players('start')).toEqual([1, 2]);
  });

  test('messages of an element that was released change nothing', async () => {
    rig.play(3);
    rig.watch();
    rig.watch('a');
    await settle();
    rig.fromMedia({ kind: 'taken', player: 1 });
    rig.fromMedia({ kind: 'failed', player: 1, failure: 'error', worked: true });
    show();
    expect(rig.pictures()).toEqual([]);
    expect(rig.subscriptions.at(-1)?.codecs).toEqual(['h264', 'jpeg']);
  });

  test('an element that fails twice gives JPEG, with the reason', async () => {
    rig.key(1);
    rig.fromMedia({ kind: 'failed', player: 1, failure: 'silent', worked: false });
    expect(rig.subscriptions.at(-1)?.codecs).toEqual(['h264', 'jpeg']);
    rig.key(2, { group: 2 });
    rig.fromMedia({ kind: 'failed', player: 2, failure: 'silent', worked: false });
    expect(rig.subscriptions.at(-1)?.codecs).toEqual([]);
    rig.jpeg(3);
    await settle();
    rig.paint();
    expect(rig.pictures()[0]?.notNative).toEqual({ cause: 'silent' });
    rig.wait(61);
    expect(rig.subscriptions.at(-1)?.codecs).toEqual(['h264', 'jpeg']);
  });

  test('where the browser refuses video, it is JPEG until the person uses the page', async () => {
    rig.key(1);
    rig.fromMedia({ kind: 'failed', player: 1, failure: 'refused', worked: false });
    expect(rig.subscriptions.at(-1)?.codecs).toEqual([]);
    rig.jpeg(2);
    await settle();
    rig.paint();
    expect(rig.pictures()[0]?.notNative).toEqual({ cause: 'refused' });
    rig.fromMedia({ kind: 'allowed' });
    expect(rig.subscriptions.at(-1)?.codecs).toEqual(['h264', 'jpeg']);
  });

  test('a stream without parameter sets is given up', () => {
    rig.key(1);
    for (let group = 2; group < 5; group++) rig.key(group, { group, payload: h264Delta(2) });
    expect(players('stop')).toEqual([1]);
    expect(rig.platform.socket.commands('unsubscribe')).toHaveLength(1);
  });

  test('another profile plays in the same element', () => {
    rig.key(1);
    rig.key(2, { group: 2, payload: h264Key(2, [0x42, 0xc0, 0x1e]), flags: 3 });
    const types = rig.toMedia.flatMap((message) => (message.kind === 'unit' ? [message.unit.type] : []));
    expect(types).toEqual(['avc1.64001f', 'avc1.42c01e']);
    expect(players('start')).toEqual([1]);
  });
});

test('a type that the elements do not play is shown as JPEG, with the reason', async () => {
  const h265: StreamInfo[] = [
    { name: 'main', codec: 'h265', type: 'hev1.1.6.L93.B0', width: 640, height: 360 },
  ];
  await start({ a: h265 });
  rig.jpeg(1);
  await settle();
  rig.paint();
  expect(rig.pictures()[0]?.notNative).toMatchObject({ cause: 'unsupported', codec: 'h265' });
});

test('at most 16 cameras play, the others are JPEG', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `cam${index}`);
  await start(Object.fromEntries(names.map((name) => [name, H264])));
  const native = rig.subscriptions.filter(({ codecs }) => codecs.includes('h264'));
  expect(native.flatMap(({ cameras }) => cameras)).toHaveLength(16);
});
