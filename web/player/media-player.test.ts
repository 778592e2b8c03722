// The player with fake media elements.
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { CODEC_H264, CODEC_H265 } from '../client/frame.ts';
import { FakePlatform } from '../client/testing.ts';
import { FakeMedia } from './media-fakes.ts';
import { MediaPlayer } from './media-player.ts';

const START_CODE = [0, 0, 0, 1];
// Constrained baseline, 640x360 and 320x240.
const LARGE = [0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x61, 0x00, 0x00, 0x03, 0x00, 0x01];
const SMALL = [0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10];
const INTERVAL = 40;

let platform: FakePlatform;
let media: FakeMedia;
let player: MediaPlayer;
const taken = vi.fn();
const shown = vi.fn();
const skipping = vi.fn();
const failed = vi.fn();

beforeEach(() => {
  vi.clearAllMocks();
  platform = new FakePlatform();
  media = new FakeMedia();
  player = new MediaPlayer(media, platform, { taken, shown, skipping, failed });
});

const now = (): number => platform.time * 1000;

function unit(
  isKey: boolean,
  nals: readonly (readonly number[])[],
  codec = CODEC_H264,
  type = 'avc1.42c01e',
  captureTime = now(),
): void {
  const payload = Uint8Array.from(nals.flatMap((nal) => [...START_CODE, ...nal]));
  player.append({ codec, type, isKey, captureTime, payload });
}

const key = (sps = LARGE, type?: string): void =>
  unit(true, [sps, [0x68, 0xcb, 0x83, 0xcb, 0x20], [0x65, 0x88]], CODEC_H264, type);
const delta = (): void => unit(false, [[0x41, 0x9a]]);

/** Plays for some pictures as a browser does, with a key frame every ten. */
function play(pictures: number): void {
  for (let index = 0; index < pictures; index++) {
    if (index % 10 === 0) key();
    else delta();
    while (media.buffer.updating) media.buffer.finish();
    media.video.show(media.video.currentTime + (index === 0 ? 0 : INTERVAL / 1000));
    platform.advance(INTERVAL);
  }
}

test('hands units to the browser one batch at a time, and each counts as taken when the browser has it', () => {
  key();
  expect(media.source.buffers).toEqual([]);
  media.source.open();
  expect(media.source.types).toEqual(['video/mp4; codecs="avc1.42c01e"']);
  for (let index = 0; index < 5; index++) delta();
  expect(media.buffer.appended).toHaveLength(1);
  expect(taken).not.toHaveBeenCalled();
  media.buffer.finish();
  expect(taken).toHaveBeenCalledTimes(1);
  expect(media.buffer.appended).toHaveLength(2);
  media.buffer.finish();
  expect(taken).toHaveBeenCalledTimes(6);
});

test('a unit counts as taken although the next one is appended before the event for it', () => {
  media.source.open();
  key();
  // Browsers report the end of an append only later.
  media.buffer.updating = false;
  delta();
  media.buffer.finish();
  media.buffer.finish();
  expect(media.buffer.appended).toHaveLength(2);
  expect(taken).toHaveBeenCalledTimes(2);
});

test('starts at the newest picture and plays', () => {
  media.source.open();
  key();
  expect(media.video.plays).toBe(0);
  media.buffer.finish();
  expect(media.video.plays).toBe(1);
  expect(media.video.currentTime).toBe(10);
});

test('reports the capture time of the picture on the screen', () => {
  media.source.open();
  const captureTime = now();
  key();
  media.buffer.finish();
  platform.advance(INTERVAL);
  delta();
  media.buffer.finish();
  media.video.show(10.04);
  expect(shown).toHaveBeenLastCalledWith(captureTime + INTERVAL * 1000, 640, 360);
});

test('a unit without a picture is skipped', () => {
  unit(false, [[0x41, 0x9a]]);
  unit(true, [[0x65, 0x88]]);
  key();
  unit(false, [[0x06, 0x01]]);
  expect(taken).toHaveBeenCalledTimes(3);
});

test('another size gets an initialization segment, the same parameter sets do not', () => {
  media.source.open();
  key();
  media.buffer.finish();
  key();
  media.buffer.finish();
  key(SMALL, 'avc1.42c00d');
  media.buffer.finish();
  const [first = 0, second = 0, third = 0] = media.buffer.appended;
  expect(first - second).toBeGreaterThan(400);
  expect(third).toBe(first);
  expect(media.buffer.types).toEqual(['video/mp4; codecs="avc1.42c00d"']);
  expect(media.source.buffers).toHaveLength(1);
});

test('what follows a change of the type waits for it', () => {
  media.source.open();
  key();
  delta();
  key(SMALL, 'avc1.42c00d');
  delta();
  expect(media.buffer.appended).toHaveLength(1);
  media.buffer.finish();
  expect(media.buffer.types).toEqual([]);
  media.buffer.finish();
  expect(media.buffer.types).toHaveLength(1);
  media.buffer.finish();
  expect(taken).toHaveBeenCalledTimes(4);
});

test('H.265 has the type without parameter sets in the samples', () => {
  const sps = [0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c];
  const size = [0xa0, 0x0a, 0x08, 0x0f, 0x16, 0x59, 0x5e, 0x49, 0x32, 0x2f];
  media.source.open();
  unit(
    true,
    [
      [0x40, 1, 12],
      [...sps, ...size],
      [0x44, 1, 0xc1],
      [0x26, 1, 0xaf],
    ],
    CODEC_H265,
    'hev1.1.6.L60.90',
  );
  expect(media.source.types).toEqual(['video/mp4; codecs="hvc1.1.6.L60.90"']);
});

test('plays faster when it is behind, and jumps when it is far behind', () => {
  media.source.open();
  play(20);
  media.video.currentTime -= 0.5;
  delta();
  media.buffer.finish();
  expect(media.video.playbackRate).toBe(1.25);
  media.video.currentTime -= 1;
  delta();
  media.buffer.finish();
  expect(media.video.playbackRate).toBe(1);
  expect(media.video.currentTime).toBeGreaterThan(10.6);
});

test('does not jump to what the browser has discarded, and not again at once', () => {
  media.source.open();
  play(20);
  media.buffer.end = 10.5;
  media.video.currentTime = 9;
  delta();
  media.buffer.finish();
  expect(media.video.currentTime).toBeLessThan(10.5);
  media.video.currentTime = 9;
  delta();
  media.buffer.finish();
  expect(media.video.currentTime).toBe(9);
  platform.advance(1_000);
  delta();
  media.buffer.finish();
  expect(media.video.currentTime).toBeGreaterThan(10);
});

test('keeps more distance after it ran out of pictures, for some time', () => {
  media.source.open();
  play(20);
  const start = media.video.currentTime;
  media.video.onwaiting?.();
  media.video.currentTime = start - 1.5;
  delta();
  media.buffer.finish();
  const farther = media.video.currentTime;
  platform.advance(11_000);
  media.video.currentTime = start - 1.5;
  delta();
  media.buffer.finish();
  expect(farther).toBeLessThan(start - 0.02);
  expect(media.video.currentTime).toBeGreaterThan(farther + 0.02);
});

test('keeps more distance while pictures are skipped', () => {
  media.source.open();
  play(20);
  const start = media.video.currentTime;
  platform.advance(1_100);
  for (let index = 0; index < 40; index++) {
    delta();
    media.buffer.finish();
    platform.advance(INTERVAL);
    if (index % 2 === 0) media.video.show(start + (index * INTERVAL) / 1000);
  }
  const edge = media.video.currentTime;
  media.video.currentTime = start - 2;
  delta();
  media.buffer.finish();
  expect(media.video.currentTime).toBeLessThan(edge + 2 * INTERVAL - 0.1);
  expect(media.video.currentTime).toBeGreaterThan(start);
});

describe('the device', () => {
  /** Plays a unit every interval, and shows one picture of so many. */
  function playOneOf(pictures: number, seconds: number): void {
    const start = media.video.currentTime;
    for (let index = 0; index < (seconds * 1000) / INTERVAL; index++) {
      delta();
      media.buffer.finish();
      platform.advance(INTERVAL);
      if (index % pictures === 0) media.video.show(start + (index * INTERVAL) / 1000);
    }
  }

  beforeEach(() => {
    media.source.open();
    play(20);
    platform.advance(2_000);
  });

  test('is too slow if the browser shows fewer than half of the pictures', () => {
    playOneOf(3, 4);
    expect(skipping.mock.calls.length).toBeGreaterThan(2);
  });

  test('is not too slow for pictures that come too late, or in less than their own time', () => {
    const start = media.video.currentTime;
    let captured = platform.time;
    for (let burst = 0; burst < 6; burst++) {
      platform.advance(20 * INTERVAL);
      for (let index = 0; index < 20; index++) {
        captured += INTERVAL;
        unit(false, [[0x41, 0x9a]], CODEC_H264, 'avc1.42c01e', captured * 1000);
        media.buffer.finish();
      }
      media.video.show(start + (burst * 20 * INTERVAL) / 1000);
    }
    expect(skipping).not.toHaveBeenCalled();
  });

  test('is not too slow if it skips a few', () => {
    playOneOf(1, 2);
    playOneOf(2, 2);
    expect(skipping).not.toHaveBeenCalled();
  });
});

describe('pictures that are not shown in the order in which they are decoded', () => {
  let start: number;
  beforeEach(() => (start = platform.time));

  /** Appends a unit with this capture time, in intervals. */
  function append(at: number): void {
    const nal = at === 0 ? [LARGE, [0x68, 0xcb], [0x65, 0x88]] : [[0x41, 0x9a]];
    const payload = Uint8Array.from(nal.flatMap((bytes) => [...START_CODE, ...bytes]));
    const captureTime = (start + at * INTERVAL) * 1000;
    player.append({ codec: CODEC_H264, type: 'avc1.42c01e', isKey: at === 0, captureTime, payload });
    while (media.source.buffers[0]?.updating) media.buffer.finish();
    platform.advance(INTERVAL);
  }

  /** Appends groups of a picture and the two that are shown before it. The browser shows only the first of them. */
  function skip(groups: number): void {
    append(0);
    media.video.show(10);
    for (let group = 1; group <= groups; group++) {
      for (const at of [3 * group, 3 * group - 2, 3 * group - 1]) append(at);
      media.video.show(10 + (3 * group * INTERVAL) / 1000);
    }
  }

  test('are appended as they come while none are skipped', () => {
    media.source.open();
    skip(5);
    expect(media.buffer.appended).toHaveLength(16);
  });

  test('are appended together once some were skipped, and count as taken when they come', () => {
    media.source.open();
    skip(30);
    const { length } = media.buffer.appended;
    const { length: count } = taken.mock.calls;
    expect(count).toBe(91);
    for (const at of [93, 91, 92]) append(at);
    expect(media.buffer.appended.length).toBeLessThanOrEqual(length + 1);
    expect(taken.mock.calls.length).toBe(count + 3);
    append(96);
    expect(media.buffer.appended.length).toBe(length + 2);
    const [one = 0, three = 0] = [media.buffer.appended[1], media.buffer.appended.at(-1)];
    expect(three).toBe(3 * one);
  });
});

test('removes what was played, up to a key frame', () => {
  media.source.open();
  play(150);
  expect(media.buffer.removed.length).toBeGreaterThan(3);
  const [, end] = media.buffer.removed.at(-1) ?? [];
  expect(end).toBeCloseTo(10 + 0.4 * Math.round(((end ?? 0) - 10) / 0.4), 3);
  expect(media.video.currentTime - (end ?? 0)).toBeGreaterThan(2.9);
  expect(media.video.currentTime - (end ?? 0)).toBeLessThan(3.6);
});

test('a full buffer is emptied up to the shown group, and the unit is not lost', () => {
  media.source.open();
  play(45);
  const before = media.buffer.appended.length;
  media.buffer.isFull = true;
  delta();
  expect(media.buffer.removed).toHaveLength(1);
  media.buffer.finish();
  expect(media.buffer.appended).toHaveLength(before + 1);
  expect(failed).not.toHaveBeenCalled();
});

test('a buffer that one group fills is an error', () => {
  media.source.open();
  key();
  media.buffer.finish();
  media.buffer.isFull = true;
  delta();
  expect(failed).toHaveBeenCalledExactlyOnceWith('error', false);
});

test('an error of the element is reported once', () => {
  media.source.open();
  play(3);
  media.video.onerror?.();
  media.video.onerror?.();
  expect(failed).toHaveBeenCalledExactlyOnceWith('error', true);
});

test('a refusal to play is reported, an interruption is not', async () => {
  media.source.open();
  media.video.playError = new DOMException('interrupted', 'AbortError');
  play(1);
  await Promise.resolve();
  expect(failed).not.toHaveBeenCalled();
  media.video.playError = new DOMException('no', 'NotAllowedError');
  media.video.onpause?.();
  await vi.waitFor(() => expect(failed).toHaveBeenCalledExactlyOnceWith('refused', true));
});

describe('silence', () => {
  /** Units that are taken and not shown. */
  function feed(milliseconds: number): void {
    for (let at = 0; at < milliseconds; at += INTERVAL) {
      delta();
      while (media.buffer.updating) media.buffer.finish();
      platform.advance(INTERVAL);
    }
  }

  beforeEach(() => {
    media.source.open();
    play(3);
  });

  test('of an element that takes units and shows nothing is a failure', () => {
    feed(2_000);
    expect(failed).not.toHaveBeenCalled();
    feed(2_000);
    expect(failed).toHaveBeenCalledExactlyOnceWith('silent', true);
  });

  test('without units is no failure', () => {
    platform.advance(60_000);
    expect(failed).not.toHaveBeenCalled();
  });

  test('after a pause of the page itself is no failure', () => {
    feed(1_500);
    // No timer runs meanwhile.
    platform.time += 5_000;
    feed(1_000);
    expect(failed).not.toHaveBeenCalled();
  });
});

test('a stopped player keeps its picture until it is removed', async () => {
  media.source.open();
  play(3);
  expect(await player.stop()).toMatchObject({ width: 640 });
  const { plays } = media.video;
  delta();
  media.video.onpause?.();
  expect(media.video.plays).toBe(plays);
  expect(media.isAttached).toBe(true);
  player.remove();
  expect(media.isAttached).toBe(false);
  expect(media.video.isRemoved).toBe(true);
});

test('a player that has shown nothing has no picture to keep', async () => {
  expect(await player.stop()).toBeUndefined();
});

test('without reports of pictures it asks for their number', () => {
  media = new FakeMedia();
  const quality = { totalVideoFrames: 0, droppedVideoFrames: 0 };
  Object.assign(media.video, {
    requestVideoFrameCallback: undefined,
    getVideoPlaybackQuality: () => quality,
  });
  player = new MediaPlayer(media, platform, { taken, shown, skipping, failed });
  media.source.open();
  key();
  media.buffer.finish();
  platform.advance(100);
  expect(shown).not.toHaveBeenCalled();
  quality.totalVideoFrames = 1;
  platform.advance(100);
  expect(shown).toHaveBeenCalledTimes(1);
});
