// The painter with a fake hub and a fake video decoder.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { StreamInfo } from '../client/events.ts';
import { PainterRig, settle } from './painter-rig.ts';
import { h264Delta, h264Key } from './testing.ts';

let rig: PainterRig;
beforeEach(() => (rig = new PainterRig()));
afterEach(() => vi.unstubAllGlobals());

const H264: StreamInfo[] = [{ name: 'main', codec: 'h264', type: 'avc1.64001f', width: 1280, height: 720 }];

describe('playing', () => {
  beforeEach(async () => {
    await rig.start({ a: H264 });
    rig.addSurface(640, 'a');
    rig.watch('a');
  });

  test('subscribes with what the browser decodes, and configures the decoder from the key frame', () => {
    expect(rig.subscriptions).toEqual([{ cameras: ['a'], codecs: ['h264', 'h265', 'jpeg'], stream: 'sub' }]);
    rig.key(1);
    expect(rig.video.decoder.configs).toEqual([
      { codec: 'avc1.64001f', optimizeForLatency: true, hardwareAcceleration: 'no-preference' },
    ]);
    rig.paint();
    expect(rig.drawn).toEqual([1]);
    expect(rig.pictures()).toMatchObject([{ codec: 'h264', width: 640, height: 360, painted: 1 }]);
    expect(rig.pictures()[0]?.notNative).toBeUndefined();
  });

  test('paints only the newest decoded picture and closes all others', () => {
    rig.play(5);
    rig.paint();
    rig.delta(6);
    rig.paint();
    expect(rig.drawn).toEqual([5, 6]);
    expect(rig.video.frames.filter(({ closed }) => !closed).map(({ mark }) => mark)).toEqual([6]);
    expect(rig.pictures()).toMatchObject([{ painted: 2 }]);
  });

  test('keeps at most two pictures of a camera open', () => {
    for (let mark = 1; mark < 40; mark++) {
      if (mark === 1) rig.key(mark);
      else rig.delta(mark);
      if (mark % 3 === 0) rig.paint();
      expect(rig.video.frames.filter(({ closed }) => !closed).length).toBeLessThanOrEqual(2);
    }
  });

  test('starts at a key frame and ignores the middle of another group', () => {
    rig.delta(1);
    expect(rig.video.decoders).toEqual([]);
    rig.key(2, { group: 2 });
    rig.delta(3, { group: 2 });
    rig.delta(4, { group: 3 });
    expect(rig.video.decoder.chunks.map(({ type, mark }) => [type, mark])).toEqual([
      ['key', 2],
      ['delta', 3],
    ]);
  });

  test('a key frame without parameter sets cannot be decoded', () => {
    rig.key(1);
    rig.key(2, { group: 2, payload: h264Delta(2) });
    rig.delta(3, { group: 2 });
    rig.key(4, { group: 3 });
    expect(rig.video.decoder.chunks.map(({ mark }) => mark)).toEqual([1, 4]);
  });

  test('a picture has its capture time, also if it steps back', () => {
    const time = rig.platform.time * 1000;
    rig.key(1, { captureTime: time });
    rig.delta(2, { captureTime: time - 66_000 });
    rig.paint();
    expect(rig.pictures()[0]?.captureTime).toBe(time - 66_000);
  });

  test('returns credit before a decoder that holds back 16 pictures has output any', async () => {
    rig.video.delay = 16;
    rig.play(8);
    await settle();
    expect(rig.video.frames).toEqual([]);
    expect(rig.returned).toBeGreaterThanOrEqual(8);
  });

  test('a decoder that drops every second unit gets more units', async () => {
    rig.video.drops = true;
    rig.key(1);
    for (let mark = 2; mark < 200; mark++) {
      rig.wait(0.04);
      rig.delta(mark);
      await settle();
    }
    expect(rig.returned).toBeGreaterThan(190);
  });

  test('a slow camera whose decoder holds back 16 pictures is not silent', () => {
    rig.video.delay = 16;
    rig.key(1);
    for (let mark = 2; mark < 30; mark++) {
      rig.wait(0.2);
      rig.delta(mark);
    }
    expect(rig.video.decoders).toHaveLength(1);
    expect(rig.video.frames.length).toBeGreaterThan(0);
  });

  test('a stream without parameter sets is given up', () => {
    rig.key(1);
    for (let group = 2; group < 5; group++) rig.key(group, { group, payload: h264Delta(2) });
    expect(rig.video.open).toEqual([]);
    expect(rig.platform.socket.commands('unsubscribe')).toHaveLength(1);
  });

  test('withholds credit while too many units wait in the decoder', async () => {
    rig.play(4);
    rig.video.paused = true;
    for (let mark = 5; mark < 60; mark++) rig.delta(mark);
    await settle();
    const before = rig.returned;
    for (let mark = 60; mark < 90; mark++) rig.delta(mark);
    await settle();
    expect(rig.returned).toBe(before);
    rig.video.decoder.output();
    await settle();
    expect(rig.returned).toBeGreaterThan(before);
  });

  test('withholds credit while units wait in the queue, also before the first picture', async () => {
    rig.video.stuck = true;
    rig.play(8);
    await settle();
    const before = rig.returned;
    for (let mark = 9; mark < 20; mark++) rig.delta(mark);
    await settle();
    expect(rig.returned).toBe(before);
    rig.video.decoder.dequeue();
    await settle();
    expect(rig.returned).toBeGreaterThan(before + 8);
  });

  test('a decoder that takes no more units is slow, also while it waits for the next key frame', () => {
    rig.play(4);
    rig.paint();
    expect(rig.pictures()[0]?.isDecoderSlow).toBeUndefined();
    rig.video.stuck = true;
    for (let mark = 5; mark < 40; mark++) rig.delta(mark);
    rig.paint();
    rig.platform.advance(1_000);
    expect(rig.pictures()[0]?.isDecoderSlow).toBeUndefined();
    rig.platform.advance(250);
    expect(rig.pictures()[0]?.isDecoderSlow).toBe(true);
    rig.video.stuck = false;
    rig.video.decoder.dequeue();
    rig.delta(40);
    rig.wait(10);
    expect(rig.pictures()[0]?.isDecoderSlow).toBe(true);
    rig.wait(6);
    expect(rig.pictures()[0]?.isDecoderSlow).toBeUndefined();
  });

  test('a decoder that takes units late after a burst is not slow', async () => {
    rig.play(4);
    rig.video.stuck = true;
    for (let mark = 5; mark < 40; mark++) rig.delta(mark);
    rig.paint();
    rig.platform.advance(1_000);
    rig.video.decoder.dequeue();
    await settle();
    rig.wait(1);
    expect(rig.pictures()[0]?.isDecoderSlow).toBeUndefined();
  });

  test('timestamps are positive, also if the second picture is earlier', () => {
    const time = rig.platform.time * 1000;
    rig.key(1, { captureTime: time });
    rig.delta(2, { captureTime: time - 5_000_000 });
    expect(rig.video.decoder.chunks.every(({ timestamp }) => timestamp >= 0)).toBe(true);
  });

  test('a discontinuity or another type configures the decoder again', () => {
    rig.key(1);
    rig.key(2, { group: 2 });
    expect(rig.video.decoder.configs).toHaveLength(1);
    rig.key(3, { group: 3, flags: 3 });
    expect(rig.video.decoder.configs).toHaveLength(2);
    rig.key(4, { group: 4, payload: h264Key(4, [0x42, 0xc0, 0x0d]) });
    expect(rig.video.decoder.configs.map(({ codec }) => codec)).toEqual([
      'avc1.64001f',
      'avc1.64001f',
      'avc1.42c00d',
    ]);
    expect(rig.video.decoders).toHaveLength(1);
  });

  test('JPEG until the next key frame is painted, and does not replace newer video', async () => {
    rig.jpeg(9);
    await settle();
    rig.paint();
    expect(rig.drawn).toEqual([9]);
    expect(rig.pictures()).toMatchObject([{ codec: 'jpeg', notNative: { cause: 'waiting' } }]);
    rig.jpeg(8);
    rig.key(1);
    await settle();
    rig.paint();
    expect(rig.drawn).toEqual([9, 1]);
    expect(rig.bitmaps.every(({ closed }) => closed)).toBe(true);
  });

  test('a camera that changes to JPEG releases its decoder', async () => {
    rig.play(3);
    rig.paint();
    rig.jpeg(9);
    await settle();
    rig.paint();
    expect(rig.video.open).toEqual([]);
    expect(rig.drawn.at(-1)).toBe(9);
    expect(rig.video.frames.every(({ closed }) => closed)).toBe(true);
  });

  test('a camera out of view releases its decoder and keeps a copy of the last picture', async () => {
    rig.play(3);
    rig.paint();
    rig.watch();
    await settle();
    expect(rig.video.open).toEqual([]);
    expect(rig.video.frames.every(({ closed }) => closed)).toBe(true);
    rig.place(320, 'a');
    expect(rig.drawn).toEqual([3, 3]);
    rig.watch('a');
    rig.play(2, 7);
    rig.paint();
    expect(rig.drawn.at(-1)).toBe(2);
    expect(rig.bitmaps.every(({ closed }) => closed)).toBe(true);
  });

  test('a frozen camera keeps its picture without a decoder', async () => {
    rig.play(3);
    rig.paint();
    rig.receive({ kind: 'freeze', camera: 'a', frozen: true });
    await settle();
    expect(rig.video.open).toEqual([]);
    expect(rig.pictures()).toMatchObject([{ painted: 1, codec: 'h264' }]);
    rig.receive({ kind: 'close' });
    expect(rig.bitmaps.every(({ closed }) => closed)).toBe(true);
  });
});

describe('decoders that fail', () => {
  beforeEach(async () => {
    await rig.start({ a: H264 });
    rig.addSurface(640, 'a');
    rig.watch('a');
  });

  const accelerations = (): (HardwareAcceleration | undefined)[] =>
    rig.video.decoders.map(({ configs }) => configs[0]?.hardwareAcceleration);

  test('a decoder that worked starts over with the newest group', () => {
    rig.play(3);
    rig.video.decoder.fail();
    expect(rig.platform.socket.commands('unsubscribe')).toHaveLength(1);
    expect(rig.subscriptions).toHaveLength(2);
    rig.delta(4);
    rig.play(2, 2);
    expect(accelerations()).toEqual(['no-preference', 'no-preference']);
    expect(rig.video.decoder.chunks).toHaveLength(2);
  });

  test('a silent decoder is replaced by software, then by JPEG, and tried again after a minute', async () => {
    rig.video.paused = true;
    for (let attempt = 0; attempt < 2; attempt++) {
      rig.play(20, attempt);
      rig.wait(2);
    }
    expect(accelerations()).toEqual(['no-preference', 'prefer-software']);
    expect(rig.video.open).toEqual([]);
    expect(rig.subscriptions.at(-1)).toEqual({ cameras: ['a'], codecs: [], stream: 'sub' });
    rig.jpeg(9);
    await settle();
    rig.paint();
    expect(rig.pictures()).toMatchObject([{ codec: 'jpeg', notNative: { cause: 'silent' } }]);
    rig.wait(60);
    expect(rig.subscriptions.at(-1)?.codecs).toEqual(['h264', 'h265', 'jpeg']);
    rig.video.paused = false;
    rig.play(20, 5);
    expect(accelerations().at(-1), 'the step above').toBe('prefer-software');
    rig.wait(60);
    rig.play(1, 6);
    expect(rig.video.decoder.configs.at(-1)?.hardwareAcceleration).toBe('no-preference');
  });

  test('the substream is tried before JPEG, with software, and the main stream again later', () => {
    rig.platform.socket.event({
      type: 'camera',
      camera: { id: 'a', state: 'live', streams: H264, hasSubstream: true },
    });
    rig.receive({ kind: 'watch', cameras: new Map([['a', { stream: 'main', native: true }]]) });
    rig.video.paused = true;
    const failNext = (group: number): void => {
      rig.key(1, { group });
      rig.video.decoder.fail();
    };
    failNext(1);
    failNext(2);
    expect(rig.subscriptions.at(-1)).toMatchObject({ stream: 'sub', codecs: ['h264', 'h265', 'jpeg'] });
    expect(rig.lowered()).toEqual({ step: 'sub', cause: 'decoder' });
    failNext(3);
    expect(accelerations()).toEqual(['no-preference', 'prefer-software', 'prefer-software']);
    expect(rig.subscriptions.at(-1)).toMatchObject({ stream: 'main', codecs: [] });
    expect(rig.lowered()).toEqual({ step: 'jpeg', cause: 'decoder' });
    rig.video.paused = false;
    rig.wait(60);
    expect(rig.subscriptions.at(-1)).toMatchObject({ stream: 'sub', codecs: ['h264', 'h265', 'jpeg'] });
    rig.play(20, 4);
    rig.wait(60);
    expect(rig.subscriptions.at(-1)).toMatchObject({ stream: 'main' });
    rig.play(20, 5);
    expect(accelerations().at(-1)).toBe('prefer-software');
    rig.wait(60);
    rig.play(1, 6);
    expect(rig.video.decoder.configs.at(-1)?.hardwareAcceleration).toBe('no-preference');
    expect(rig.lowered()).toBeUndefined();
  });

  test('a decoder that is silent while units wait is replaced, although the hub sends no more', () => {
    rig.play(4);
    rig.video.paused = true;
    for (let mark = 5; mark < 11; mark++) rig.delta(mark);
    rig.wait(3);
    expect(rig.video.open).toEqual([]);
    rig.play(1, 2);
    expect(accelerations()).toEqual(['no-preference', 'prefer-software']);
  });

  describe('software is used only until', () => {
    const camera = (streams: StreamInfo[], state = 'live'): void =>
      rig.platform.socket.event({ type: 'camera', camera: { id: 'a', state, streams } });

    beforeEach(() => {
      rig.video.paused = true;
      rig.key(1);
      rig.video.decoder.fail();
      rig.video.paused = false;
      rig.play(3, 2);
      expect(accelerations()).toEqual(['no-preference', 'prefer-software']);
    });

    const accelerationAfterKeyFrame = (): HardwareAcceleration | undefined => {
      rig.key(1, { group: 3 });
      expect(rig.video.open).toHaveLength(1);
      return rig.video.decoder.configs.at(-1)?.hardwareAcceleration;
    };

    test('the camera sends another stream', () => {
      camera([{ name: 'main', codec: 'h264', type: 'avc1.64001f', width: 1280, height: 720, fps: 12 }]);
      expect(accelerationAfterKeyFrame(), 'another rate').toBe('prefer-software');
      camera([{ name: 'main', codec: 'h264', type: 'avc1.640028', width: 1920, height: 1080 }]);
      expect(accelerationAfterKeyFrame()).toBe('no-preference');
    });

    test('the camera has been connected again', () => {
      camera(H264, 'stalled');
      expect(accelerationAfterKeyFrame()).toBe('prefer-software');
      camera(H264, 'live');
      expect(accelerationAfterKeyFrame()).toBe('no-preference');
    });

    test('the page plays the other stream of the camera', () => {
      rig.receive({ kind: 'watch', cameras: new Map([['a', { stream: 'main', native: true }]]) });
      expect(accelerationAfterKeyFrame()).toBe('no-preference');
    });
  });

  test('a decoder that outputs is not silent, however slow the camera is', () => {
    rig.play(10);
    for (let mark = 0; mark < 20; mark++) {
      rig.wait(1);
      rig.delta(mark);
    }
    expect(rig.video.decoders).toHaveLength(1);
  });

  test('decoders that fail before the first picture are replaced by software, then by JPEG', async () => {
    rig.video.paused = true;
    for (let attempt = 0; attempt < 2; attempt++) {
      rig.key(1, { group: attempt });
      rig.video.decoder.fail();
    }
    expect(accelerations()).toEqual(['no-preference', 'prefer-software']);
    expect(rig.subscriptions.at(-1)?.codecs).toEqual([]);
    rig.jpeg(9);
    await settle();
    rig.paint();
    expect(rig.pictures()).toMatchObject([{ notNative: { cause: 'error' } }]);
  });

  test('errors in quick succession lead to software', () => {
    for (let attempt = 0; attempt < 4; attempt++) {
      rig.play(3, attempt);
      rig.video.decoder.fail();
    }
    expect(accelerations()).toEqual(['no-preference', 'no-preference', 'no-preference', 'prefer-software']);
  });

  test('a page that is visible again tries again', () => {
    rig.video.paused = true;
    for (let attempt = 0; attempt < 2; attempt++) {
      rig.key(1, { group: attempt });
      rig.video.decoder.fail();
    }
    expect(rig.subscriptions.at(-1)?.codecs).toEqual([]);
    rig.receive({ kind: 'reconnectNow' });
    expect(rig.subscriptions.at(-1)?.codecs).toEqual(['h264', 'h265', 'jpeg']);
  });
});
