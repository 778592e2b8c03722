// What the painter asks for on a slow network or device, with a fake hub and fake decoders.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { StreamInfo } from '../client/events.ts';
import type { Watch } from './messages.ts';
import { PainterRig, settle } from './painter-rig.ts';

let rig: PainterRig;
beforeEach(() => (rig = new PainterRig()));
afterEach(() => vi.unstubAllGlobals());

const MAIN: StreamInfo = { name: 'main', codec: 'h264', type: 'avc1.64001f', width: 1280, height: 720 };
const SUB: StreamInfo = { name: 'sub', codec: 'h264', type: 'avc1.64000d', width: 640, height: 360 };

async function start(streams: StreamInfo[], watch: Partial<Watch> = {}): Promise<void> {
  await rig.start({ a: streams });
  rig.addSurface(1280, 'a');
  watchAs(watch);
}

function watchAs(watch: Partial<Watch>): void {
  const how: Watch = { stream: 'main', native: true, mpeg1: true, ...watch };
  rig.receive({ kind: 'watch', cameras: new Map([['a', how]]) });
}

let sent = 0;
let dropped = 0;
/** Seconds in which the hub reports how far this viewer is behind. */
function pass(seconds: number, counts: Readonly<Record<string, unknown>> = {}): void {
  for (let second = 0; second < seconds; second++) {
    rig.platform.advance(1_000);
    sent += 5;
    if (counts['lagging'] === true) dropped += 10;
    rig.platform.socket.event({
      type: 'stats',
      time: rig.platform.time * 1000,
      cameras: { a: { sent, dropped, viewers: 1, ...counts } },
    });
  }
}

const lagging = { lagging: true };
const latest = (): unknown => {
  const { stream, codecs, keyOnly } = rig.subscriptions.at(-1) ?? { stream: '', codecs: [] };
  return [stream, codecs.length > 0, keyOnly ?? false];
};

describe('a slow network', () => {
  test('main stream, substream, key frames, MPEG-1, and back', async () => {
    await start([MAIN, SUB]);
    expect(latest()).toEqual(['main', true, false]);
    rig.play(3);
    rig.paint();
    pass(5, lagging);
    expect(latest()).toEqual(['sub', true, false]);
    expect(rig.lowered()).toEqual({ step: 'sub', cause: 'network' });
    pass(6, lagging);
    expect(latest()).toEqual(['sub', true, true]);
    expect(rig.platform.socket.commands('unsubscribe')).toEqual([]);
    // Key frames alone are never behind in their group. They come too late.
    for (let id = 0; id < 3; id++)
      rig.platform.socket.event({ type: 'pong', t: rig.platform.time, time: rig.platform.time * 1000 });
    for (let group = 0; group < 8; group++) {
      rig.key(1, { group: 10 + group, receiptTime: (rig.platform.time - 4_000) * 1000 });
      pass(1);
    }
    rig.paint();
    expect(rig.platform.socket.commands('unsubscribe')).toHaveLength(1);
    expect(rig.lowered()).toEqual({ step: 'mpeg1', cause: 'network' });
    expect(rig.video.open).toEqual([]);
    pass(16);
    expect(latest(), 'the next step above').toEqual(['sub', true, true]);
    expect(rig.lowered(), 'MPEG-1 until there is a picture').toEqual({ step: 'mpeg1', cause: 'network' });
    rig.key(2, { group: 30, receiptTime: rig.platform.time * 1000 });
    rig.paint();
    expect(rig.lowered()).toEqual({ step: 'keys', cause: 'network' });
    pass(22);
    expect(latest()).toEqual(['main', true, false]);
    expect(rig.lowered()).toBeUndefined();
  });

  test('an attempt that fails is given up at once', async () => {
    await start([MAIN, SUB]);
    pass(5, lagging);
    pass(17);
    expect(latest()).toEqual(['main', true, false]);
    pass(3, lagging);
    expect(latest()).toEqual(['sub', true, false]);
    pass(17);
    expect(latest(), 'the next attempt waits longer').toEqual(['sub', true, false]);
    pass(15);
    expect(latest()).toEqual(['main', true, false]);
  });

  test('a camera without a substream skips it, and one whose substream nobody has watched does not', async () => {
    await start([MAIN]);
    pass(5, lagging);
    expect(latest()).toEqual(['main', true, true]);
    rig = new PainterRig();
    await rig.start({ a: [MAIN] });
    const camera = { id: 'a', state: 'live', streams: [MAIN], hasSubstream: true };
    rig.platform.socket.event({ type: 'camera', camera });
    rig.addSurface(1280, 'a');
    watchAs({});
    pass(5, lagging);
    expect(latest()).toEqual(['sub', true, false]);
  });

  test('a small picture, which shows the substream, goes on with its key frames', async () => {
    await start([MAIN, SUB], { stream: 'auto' });
    rig.place(320, 'a');
    expect(latest()).toEqual(['sub', true, false]);
    pass(5, lagging);
    expect(latest()).toEqual(['sub', true, true]);
  });

  test('groups that were overtaken count, however short they are', async () => {
    await start([MAIN, SUB]);
    for (let second = 1; second < 6; second++) pass(1, { dropped: second * 8 });
    expect(latest()).toEqual(['sub', true, false]);
  });

  test('JPEG that is late and mostly left out becomes the substream, then MPEG-1', async () => {
    await start([
      { name: 'main', codec: 'jpeg' },
      { name: 'sub', codec: 'jpeg', width: 320, height: 180 },
    ]);
    expect(latest()).toEqual(['main', false, false]);
    rig.platform.socket.event({ type: 'pong', t: rig.platform.time, time: rig.platform.time * 1000 });
    let count = 0;
    const late = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second++) {
        rig.platform.socket.frame({
          camera: 'a',
          payload: [1],
          receiptTime: (rig.platform.time - 900) * 1000,
        });
        await settle();
        rig.paint();
        rig.platform.advance(1_000);
        count += 1;
        rig.platform.socket.event({
          type: 'stats',
          time: rig.platform.time * 1000,
          cameras: { a: { sent: count, dropped: count * 4, viewers: 1 } },
        });
      }
    };
    await late(7);
    expect(latest()).toEqual(['sub', false, false]);
    await late(7);
    expect(rig.lowered()).toEqual({ step: 'mpeg1', cause: 'network' });
  });

  test('MPEG-1 that the hub does not make is not waited for', async () => {
    await start([{ name: 'main', codec: 'h264' }]);
    pass(6, lagging);
    expect(latest()).toEqual(['main', true, true]);
    rig.platform.socket.event({ type: 'pong', t: rig.platform.time, time: rig.platform.time * 1000 });
    const late = (): void => {
      rig.key(1, { receiptTime: (rig.platform.time - 4_000) * 1000 });
      pass(1);
    };
    for (let group = 0; group < 8; group++) late();
    expect(rig.lowered()?.step).toBe('mpeg1');
    rig.receive({ kind: 'noMpeg1', camera: 'a' });
    expect(latest()).toEqual(['main', true, true]);
    for (let group = 0; group < 8; group++) late();
    expect(latest()).toEqual(['main', true, true]);
  });
});

describe('the viewer', () => {
  test.each([
    ['best', ['main', true, false]],
    ['sub', ['sub', true, false]],
    ['keys', ['sub', true, true]],
  ] as const)('can choose %s, which stays', async (quality, expected) => {
    await start([MAIN, SUB], { quality, stream: 'auto' });
    expect(latest()).toEqual(expected);
    pass(20, lagging);
    expect(latest()).toEqual(expected);
    expect(rig.lowered()).toBeUndefined();
  });

  test('who chooses a codec gets no MPEG-1', async () => {
    await start([{ name: 'main', codec: 'jpeg' }], { mpeg1: false });
    pass(20, lagging);
    expect(rig.subscriptions).toHaveLength(1);
  });
});

test('a slow device steps down too, and is named', async () => {
  await start([MAIN, SUB]);
  rig.play(4);
  rig.video.paused = true;
  for (let mark = 5; mark < 12; mark++) rig.delta(mark);
  rig.wait(1);
  rig.platform.advance(700);
  rig.pictures();
  rig.video.paused = false;
  rig.delta(20);
  pass(5, lagging);
  expect(rig.lowered()).toEqual({ step: 'sub', cause: 'device' });
});

test('so does a device whose media element skips pictures', async () => {
  await rig.start({ a: [MAIN, SUB] }, 'no-decoders', true);
  for (const type of ['avc1.42E01F', 'hev1.1.6.L93.B0', 'avc1.64001f', 'avc1.64000d'])
    rig.fromMedia({ kind: 'answer', type, isSupported: type.startsWith('avc1') });
  await settle();
  rig.addSurface(1280, 'a');
  watchAs({});
  rig.key(1);
  const player = rig.toMedia.find(({ kind }) => kind === 'start');
  if (player?.kind !== 'start') throw new Error('no element plays');
  rig.fromMedia({ kind: 'shown', player: player.player, captureTime: 1, width: 640, height: 360 });
  rig.paint();
  for (let second = 0; second < 6; second++) {
    rig.fromMedia({ kind: 'skipping', player: player.player });
    pass(1);
  }
  expect(rig.pictures()[0]).toMatchObject({ isDecoderSlow: true, isSkipping: true });
  expect(rig.lowered()).toEqual({ step: 'sub', cause: 'device' });
});

test('the interval of key frames is known from before', async () => {
  await start([MAIN]);
  rig.key(1, { group: 1, receiptTime: 10_000_000 });
  rig.key(2, { group: 2, receiptTime: 14_000_000 });
  rig.paint();
  expect(rig.pictures()[0]?.interval).toBe(0);
  pass(5, lagging);
  expect(rig.pictures()[0]?.interval).toBe(4_000);
});
