// The painter with a fake hub and a fake video decoder.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { StreamInfo } from '../client/events.ts';
import { FakePlatform } from '../client/testing.ts';
import type { FromPainter, Picture, ToPainter, Watch } from './messages.ts';
import { Painter } from './painter.ts';
import { FakeVideo, FakeVideoFrame, h264Delta, h264Key, h265Key } from './testing.ts';
import type { NoVideo } from './video-platform.ts';

interface FakeBitmap {
  readonly mark: number;
  closed: boolean;
  close(): void;
}

let platform: FakePlatform;
let video: FakeVideo;
let painter: Painter;
let posted: FromPainter[];
let bitmaps: FakeBitmap[];
let drawn: number[];
let pendingPaint: (() => void) | undefined;
let sequence: number;

beforeEach(() => {
  platform = new FakePlatform();
  video = new FakeVideo();
  posted = [];
  bitmaps = [];
  drawn = [];
  sequence = 0;
  vi.stubGlobal('createImageBitmap', async (source: Blob | FakeVideoFrame) => {
    const mark =
      source instanceof FakeVideoFrame ? source.mark : (new Uint8Array(await source.arrayBuffer())[0] ?? 0);
    const bitmap: FakeBitmap & { width: number; height: number } = {
      mark,
      closed: false,
      width: 320,
      height: 180,
      close: () => (bitmap.closed = true),
    };
    bitmaps.push(bitmap);
    return bitmap;
  });
});

afterEach(() => vi.unstubAllGlobals());

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

const H264: StreamInfo[] = [{ name: 'main', codec: 'h264', type: 'avc1.64001f', width: 1280, height: 720 }];

async function start(
  cameras: Record<string, StreamInfo[]>,
  host: FakeVideo | NoVideo = video,
): Promise<void> {
  pendingPaint = undefined;
  painter = new Painter({
    platform,
    video: host,
    post: (message) => posted.push(message),
    nextPaint: (callback) => (pendingPaint = callback),
  });
  painter.receive({ kind: 'open', url: 'ws://hub/ws/cameras' });
  const list = Object.entries(cameras).map(([id, streams]) => ({ id, state: 'live', streams }));
  platform.socket.event({ type: 'hello', version: '0.1.0', time: 1, cameras: list });
  await settle();
}

function addSurface(width = 640, ...cameras: string[]): void {
  const context = {
    fillStyle: '',
    clearRect: () => undefined,
    fillRect: () => undefined,
    drawImage: ({ mark, closed }: FakeBitmap | FakeVideoFrame) => {
      expect(closed, 'a painted picture is open').toBe(false);
      drawn.push(mark);
    },
  };
  const canvas = { width: 0, height: 0, getContext: () => context };
  painter.receive({ kind: 'surface', surface: 1, canvas } as unknown as ToPainter);
  place(width, ...cameras);
}

function place(width: number, ...cameras: string[]): void {
  const height = (width * 9) / 16;
  const placements = cameras.map((camera, index) => ({ camera, x: index * width, y: 0, width, height }));
  painter.receive({ kind: 'layout', surface: 1, width: width * cameras.length, height, placements });
  paint();
}

function watch(...cameras: string[]): void {
  const how: Watch = { stream: 'auto', native: true };
  painter.receive({ kind: 'watch', cameras: new Map(cameras.map((camera) => [camera, how])) });
}

function paint(): void {
  const due = pendingPaint;
  pendingPaint = undefined;
  due?.();
}

interface UnitFields {
  readonly camera?: string;
  readonly group?: number;
  readonly flags?: number;
  readonly codec?: number;
  readonly payload?: number[];
  readonly captureTime?: number;
}

const key = (mark: number, fields: UnitFields = {}): void =>
  unit({ flags: 1, payload: h264Key(mark), ...fields });
const delta = (mark: number, fields: UnitFields = {}): void =>
  unit({ flags: 0, payload: h264Delta(mark), ...fields });

function unit(fields: UnitFields): void {
  sequence += 1;
  platform.socket.frame({
    camera: 'a',
    codec: 2,
    group: 1,
    sequence,
    captureTime: platform.time * 1000,
    ...fields,
  });
}

const jpeg = (mark: number): void => platform.socket.frame({ camera: 'a', payload: [mark] });

/** Plays a group long enough for the credit to be returned. */
function play(units: number, group = 1): void {
  key(1, { group });
  for (let mark = 2; mark <= units; mark++) delta(mark, { group });
}

const subscriptions = (): { cameras: readonly string[]; codecs: readonly string[]; stream: string }[] =>
  platform.socket
    .commands('subscribe')
    .map(({ cameras, codecs = [], stream = '' }) => ({ cameras, codecs, stream }));

const returned = (): number =>
  platform.socket.commands('credit').reduce((sum, { add }) => sum + (add['a'] ?? 0), 0);

function pictures(): readonly Picture[] {
  platform.advance(250);
  return posted.filter((message) => message.kind === 'pictures').at(-1)?.pictures ?? [];
}

describe('playing', () => {
  beforeEach(async () => {
    await start({ a: H264 });
    addSurface(640, 'a');
    watch('a');
  });

  test('subscribes with what the browser decodes, and configures the decoder from the key frame', () => {
    expect(subscriptions()).toEqual([{ cameras: ['a'], codecs: ['h264', 'h265', 'jpeg'], stream: 'sub' }]);
    key(1);
    expect(video.decoder.configs).toEqual([
      { codec: 'avc1.64001f', optimizeForLatency: true, hardwareAcceleration: 'no-preference' },
    ]);
    paint();
    expect(drawn).toEqual([1]);
    expect(pictures()).toMatchObject([{ codec: 'h264', width: 640, height: 360, painted: 1 }]);
    expect(pictures()[0]?.notNative).toBeUndefined();
  });

  test('paints only the newest decoded picture and closes all others', () => {
    play(5);
    paint();
    delta(6);
    paint();
    expect(drawn).toEqual([5, 6]);
    expect(video.frames.filter(({ closed }) => !closed).map(({ mark }) => mark)).toEqual([6]);
    expect(pictures()).toMatchObject([{ painted: 2 }]);
  });

  test('keeps at most two pictures of a camera open', () => {
    for (let mark = 1; mark < 40; mark++) {
      if (mark === 1) key(mark);
      else delta(mark);
      if (mark % 3 === 0) paint();
      expect(video.frames.filter(({ closed }) => !closed).length).toBeLessThanOrEqual(2);
    }
  });

  test('starts at a key frame and ignores the middle of another group', () => {
    delta(1);
    expect(video.decoders).toEqual([]);
    key(2, { group: 2 });
    delta(3, { group: 2 });
    delta(4, { group: 3 });
    expect(video.decoder.chunks.map(({ type, mark }) => [type, mark])).toEqual([
      ['key', 2],
      ['delta', 3],
    ]);
  });

  test('a key frame without parameter sets cannot be decoded', () => {
    key(1);
    key(2, { group: 2, payload: h264Delta(2) });
    delta(3, { group: 2 });
    key(4, { group: 3 });
    expect(video.decoder.chunks.map(({ mark }) => mark)).toEqual([1, 4]);
  });

  test('a picture has its capture time, also if it steps back', () => {
    const time = platform.time * 1000;
    key(1, { captureTime: time });
    delta(2, { captureTime: time - 66_000 });
    paint();
    expect(pictures()[0]?.captureTime).toBe(time - 66_000);
  });

  test('returns credit before a decoder that holds back 16 pictures has output any', async () => {
    video.delay = 16;
    play(8);
    await settle();
    expect(video.frames).toEqual([]);
    expect(returned()).toBeGreaterThanOrEqual(8);
  });

  test('withholds credit while too many units wait in the decoder', async () => {
    play(4);
    video.paused = true;
    for (let mark = 5; mark < 60; mark++) delta(mark);
    await settle();
    const before = returned();
    for (let mark = 60; mark < 90; mark++) delta(mark);
    await settle();
    expect(returned()).toBe(before);
    video.decoder.output();
    await settle();
    expect(returned()).toBeGreaterThan(before);
  });

  test('a discontinuity or another type configures the decoder again', () => {
    key(1);
    key(2, { group: 2 });
    expect(video.decoder.configs).toHaveLength(1);
    key(3, { group: 3, flags: 3 });
    expect(video.decoder.configs).toHaveLength(2);
    key(4, { group: 4, payload: h264Key(4, [0x42, 0xc0, 0x0d]) });
    expect(video.decoder.configs.map(({ codec }) => codec)).toEqual([
      'avc1.64001f',
      'avc1.64001f',
      'avc1.42c00d',
    ]);
    expect(video.decoders).toHaveLength(1);
  });

  test('JPEG until the next key frame is painted, and does not replace newer video', async () => {
    jpeg(9);
    await settle();
    paint();
    expect(drawn).toEqual([9]);
    expect(pictures()).toMatchObject([{ codec: 'jpeg', notNative: { cause: 'waiting' } }]);
    jpeg(8);
    key(1);
    await settle();
    paint();
    expect(drawn).toEqual([9, 1]);
    expect(bitmaps.every(({ closed }) => closed)).toBe(true);
  });

  test('a camera that changes to JPEG releases its decoder', async () => {
    play(3);
    paint();
    jpeg(9);
    await settle();
    paint();
    expect(video.open).toEqual([]);
    expect(drawn.at(-1)).toBe(9);
    expect(video.frames.every(({ closed }) => closed)).toBe(true);
  });

  test('a camera out of view releases its decoder and keeps a copy of the last picture', async () => {
    play(3);
    paint();
    watch();
    await settle();
    expect(video.open).toEqual([]);
    expect(video.frames.every(({ closed }) => closed)).toBe(true);
    place(320, 'a');
    expect(drawn).toEqual([3, 3]);
    watch('a');
    play(2, 7);
    paint();
    expect(drawn.at(-1)).toBe(2);
    expect(bitmaps.every(({ closed }) => closed)).toBe(true);
  });

  test('a frozen camera keeps its picture without a decoder', async () => {
    play(3);
    paint();
    painter.receive({ kind: 'freeze', camera: 'a', frozen: true });
    await settle();
    expect(video.open).toEqual([]);
    expect(pictures()).toMatchObject([{ painted: 1, codec: 'h264' }]);
    painter.receive({ kind: 'close' });
    expect(bitmaps.every(({ closed }) => closed)).toBe(true);
  });
});

describe('decoders that fail', () => {
  beforeEach(async () => {
    await start({ a: H264 });
    addSurface(640, 'a');
    watch('a');
  });

  const accelerations = (): (HardwareAcceleration | undefined)[] =>
    video.decoders.map(({ configs }) => configs[0]?.hardwareAcceleration);

  test('a decoder that worked starts over with the newest group', () => {
    play(3);
    video.decoder.fail();
    expect(platform.socket.commands('unsubscribe')).toHaveLength(1);
    expect(subscriptions()).toHaveLength(2);
    delta(4);
    play(2, 2);
    expect(accelerations()).toEqual(['no-preference', 'no-preference']);
    expect(video.decoder.chunks).toHaveLength(2);
  });

  test('a silent decoder is replaced by software, then by JPEG, and tried again after a minute', async () => {
    video.paused = true;
    for (let attempt = 0; attempt < 2; attempt++) {
      play(10, attempt);
      platform.advance(2_000);
      platform.socket.event({ type: 'stats', cameras: {} });
    }
    expect(accelerations()).toEqual(['no-preference', 'prefer-software']);
    expect(video.open).toEqual([]);
    expect(subscriptions().at(-1)).toEqual({ cameras: ['a'], codecs: [], stream: 'sub' });
    jpeg(9);
    await settle();
    paint();
    expect(pictures()).toMatchObject([{ codec: 'jpeg', notNative: { cause: 'silent' } }]);
    for (let second = 0; second < 60; second++) {
      platform.advance(1_000);
      platform.socket.event({ type: 'stats', cameras: {} });
    }
    expect(subscriptions().at(-1)?.codecs).toEqual(['h264', 'h265', 'jpeg']);
    play(1, 5);
    expect(accelerations().at(-1)).toBe('no-preference');
  });

  test('a decoder that outputs is not silent, however slow the camera is', () => {
    play(10);
    for (let mark = 0; mark < 20; mark++) {
      platform.advance(700);
      platform.socket.event({ type: 'stats', cameras: {} });
      delta(mark);
    }
    expect(video.decoders).toHaveLength(1);
  });

  test('decoders that fail before the first picture are replaced by software, then by JPEG', async () => {
    video.paused = true;
    for (let attempt = 0; attempt < 2; attempt++) {
      key(1, { group: attempt });
      video.decoder.fail();
    }
    expect(accelerations()).toEqual(['no-preference', 'prefer-software']);
    expect(subscriptions().at(-1)?.codecs).toEqual([]);
    jpeg(9);
    await settle();
    paint();
    expect(pictures()).toMatchObject([{ notNative: { cause: 'error' } }]);
  });

  test('errors in quick succession lead to software', () => {
    for (let attempt = 0; attempt < 4; attempt++) {
      play(3, attempt);
      video.decoder.fail();
    }
    expect(accelerations()).toEqual(['no-preference', 'no-preference', 'no-preference', 'prefer-software']);
  });

  test('a page that is visible again tries again', () => {
    video.paused = true;
    for (let attempt = 0; attempt < 2; attempt++) {
      key(1, { group: attempt });
      video.decoder.fail();
    }
    expect(subscriptions().at(-1)?.codecs).toEqual([]);
    painter.receive({ kind: 'reconnectNow' });
    expect(subscriptions().at(-1)?.codecs).toEqual(['h264', 'h265', 'jpeg']);
  });
});

describe('what is subscribed', () => {
  const reasonOf = async (): Promise<unknown> => {
    jpeg(9);
    await settle();
    paint();
    return pictures()[0]?.notNative;
  };

  test('JPEG on a page that is not secure', async () => {
    await start({ a: H264 }, 'insecure');
    addSurface(640, 'a');
    watch('a');
    expect(subscriptions()).toEqual([{ cameras: ['a'], codecs: [], stream: 'sub' }]);
    key(1);
    expect(await reasonOf()).toEqual({ cause: 'insecure' });
  });

  test('JPEG for a camera that sends JPEG, whatever the browser decodes', async () => {
    await start({ a: [{ name: 'main', codec: 'jpeg' }] });
    addSurface(640, 'a');
    watch('a');
    expect(subscriptions()).toEqual([{ cameras: ['a'], codecs: [], stream: 'sub' }]);
    expect(await reasonOf()).toEqual({ cause: 'sends', codec: 'jpeg' });
  });

  test('only codecs that the browser decodes, tested with the full type', async () => {
    video.supports = (type) => type.startsWith('avc1');
    const type = 'hev1.1.6.L120.90';
    await start({ a: [{ name: 'main', codec: 'h265', type }] });
    addSurface(640, 'a');
    watch('a');
    expect(video.asked).toContain(type);
    expect(subscriptions()).toEqual([{ cameras: ['a'], codecs: ['h264', 'jpeg'], stream: 'sub' }]);
    expect(await reasonOf()).toEqual({ cause: 'unsupported', codec: 'h265', type });
  });

  test('a type that becomes known later changes the subscription', async () => {
    video.supports = (type) => type !== 'avc1.f4001f';
    await start({ a: [{ name: 'main', codec: 'h264' }] });
    watch('a');
    expect(subscriptions().at(-1)?.codecs).toEqual(['h264', 'h265', 'jpeg']);
    const streams = [{ name: 'main', codec: 'h264', type: 'avc1.f4001f' }];
    platform.socket.event({ type: 'camera', camera: { id: 'a', state: 'live', streams } });
    await settle();
    expect(subscriptions().at(-1)?.codecs).toEqual(['h265', 'jpeg']);
  });

  test('a browser that does not answer is not waited for', async () => {
    video.isSupported = () => new Promise(() => undefined);
    await start({ a: H264 });
    watch('a');
    expect(subscriptions()).toEqual([]);
    platform.advance(1_000);
    expect(subscriptions()).toEqual([{ cameras: ['a'], codecs: [], stream: 'sub' }]);
  });

  test('H.265 where the browser decodes it', async () => {
    await start({ a: [{ name: 'main', codec: 'h265', type: 'hev1.1.6.L93.90' }] });
    addSurface(640, 'a');
    watch('a');
    key(3, { codec: 3, payload: h265Key(3) });
    paint();
    expect(video.decoder.configs[0]?.codec).toBe('hev1.1.6.L93.90');
    expect(pictures()).toMatchObject([{ codec: 'h265' }]);
  });

  test('more cameras than decoders: the last ones get JPEG', async () => {
    video.maxDecoders = 2;
    await start({ a: H264, b: H264, c: H264 });
    addSurface(320, 'c', 'b', 'a');
    watch('c', 'b', 'a');
    const last = subscriptions().at(-1);
    expect(last).toMatchObject({ cameras: ['a'], codecs: [] });
    expect(await reasonOf()).toEqual({ cause: 'too-many', limit: 2 });
  });

  test('the main stream for a picture larger than the substream, without discarding the old picture', async () => {
    const streams: StreamInfo[] = [...H264, { name: 'sub', codec: 'h264', width: 640, height: 360 }];
    await start({ a: streams });
    addSurface(640, 'a');
    watch('a');
    expect(subscriptions().at(-1)?.stream).toBe('sub');
    play(3);
    paint();
    place(1280, 'a');
    expect(subscriptions().at(-1)?.stream).toBe('main');
    expect(platform.socket.commands('unsubscribe')).toEqual([]);
    // The substream continues until the first key frame of the main stream.
    delta(4);
    paint();
    key(5, { group: 9, flags: 3, payload: h264Key(5, [0x64, 0x00, 0x28]) });
    paint();
    expect(drawn).toEqual([3, 3, 4, 5]);
    expect(video.open).toHaveLength(1);
    place(640, 'a');
    expect(subscriptions().at(-1)?.stream).toBe('sub');
  });
});
