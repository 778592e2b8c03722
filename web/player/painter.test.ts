import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakePlatform } from '../client/testing.ts';
import type { FromPainter, Picture, ToPainter } from './messages.ts';
import { Painter } from './painter.ts';

/** A decoded JPEG. Its first byte identifies it. */
class FakeBitmap {
  closed = false;
  readonly width = 320;
  readonly height = 240;
  constructor(readonly mark: number) {}
  close(): void {
    this.closed = true;
  }
}

const BROKEN = 255;

let platform: FakePlatform;
let painter: Painter;
let posted: FromPainter[];
let bitmaps: FakeBitmap[];
let drawn: { mark: number; at: number[] }[];
let pendingPaint: (() => void) | undefined;

beforeEach(() => {
  platform = new FakePlatform();
  posted = [];
  bitmaps = [];
  drawn = [];
  pendingPaint = undefined;
  vi.stubGlobal('createImageBitmap', async (blob: Blob) => {
    const mark = new Uint8Array(await blob.arrayBuffer())[0] ?? 0;
    if (mark === BROKEN) throw new Error('not a picture');
    const bitmap = new FakeBitmap(mark);
    bitmaps.push(bitmap);
    return bitmap;
  });
  painter = new Painter({
    platform,
    video: 'insecure',
    post: (message) => posted.push(message),
    nextPaint: (callback) => (pendingPaint = callback),
  });
  painter.receive({ kind: 'open', url: 'ws://hub/ws/cameras' });
  platform.socket.event({ type: 'hello', version: '0.1.0', time: 1, cameras: [] });
});

afterEach(() => vi.unstubAllGlobals());

const watch = (...cameras: string[]): void =>
  painter.receive({
    kind: 'watch',
    cameras: new Map(cameras.map((camera) => [camera, { stream: 'auto', native: true }])),
  });

function addSurface(...cameras: string[]): void {
  const context = {
    fillStyle: '',
    clearRect: () => undefined,
    fillRect: () => undefined,
    drawImage: ({ mark }: FakeBitmap, ...at: number[]) => drawn.push({ mark, at }),
  };
  const canvas = { width: 0, height: 0, getContext: () => context };
  painter.receive({ kind: 'surface', surface: 1, canvas } as unknown as ToPainter);
  const placements = cameras.map((camera, index) => ({
    camera,
    x: index * 160,
    y: 0,
    width: 160,
    height: 90,
  }));
  painter.receive({ kind: 'layout', surface: 1, width: 160 * cameras.length, height: 90, placements });
  paint();
}

function paint(): void {
  const due = pendingPaint;
  pendingPaint = undefined;
  due?.();
}

/** Waits for decoding and for the messages of this turn. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

function frame(camera: string, mark: number, captureTime = platform.time * 1000): void {
  platform.socket.frame({ camera, payload: [mark], captureTime });
}

const credits = (): Record<string, number>[] =>
  platform.socket.commands('credit').map(({ add }) => ({ ...add }));

function pictures(): readonly Picture[] {
  platform.advance(250);
  const last = posted.filter((message) => message.kind === 'pictures').at(-1);
  return last?.pictures ?? [];
}

describe('painter', () => {
  test('paints a whole picture at its placement and then returns the credit', async () => {
    addSurface('a', 'b');
    watch('a', 'b');
    frame('b', 7);
    await settle();
    expect(drawn).toEqual([]);
    expect(credits()).toEqual([]);
    paint();
    expect(drawn).toEqual([{ mark: 7, at: [180, 0, 120, 90] }]);
    await settle();
    expect(credits()).toEqual([{ b: 1 }]);
  });

  test('paints only new pictures and closes the ones they replace', async () => {
    addSurface('a', 'b');
    watch('a', 'b');
    frame('a', 1);
    frame('b', 2);
    await settle();
    paint();
    drawn.length = 0;
    frame('a', 3);
    await settle();
    paint();
    expect(drawn.map(({ mark }) => mark)).toEqual([3]);
    expect(bitmaps.map(({ mark, closed }) => [mark, closed])).toEqual([
      [1, true],
      [2, false],
      [3, false],
    ]);
  });

  test('a frame that cannot be decoded or is not JPEG does not stop its camera', async () => {
    addSurface('a');
    watch('a');
    frame('a', BROKEN);
    await settle();
    expect(credits()).toEqual([{ a: 1 }]);
    platform.socket.frame({ camera: 'a', codec: 2 });
    await settle();
    expect(credits()).toHaveLength(2);
    frame('a', 5);
    await settle();
    paint();
    expect(drawn.map(({ mark }) => mark)).toEqual([5]);
  });

  test('of two frames that arrive during decoding the newer is painted, and both return credit', async () => {
    platform.socket.event({ type: 'pong', t: platform.time - 200, time: 1 });
    addSurface('a');
    watch('a');
    frame('a', 1);
    frame('a', 2);
    frame('a', 3);
    await settle();
    paint();
    await settle();
    expect(drawn.map(({ mark }) => mark)).toEqual([3]);
    expect(bitmaps.filter(({ closed }) => !closed).map(({ mark }) => mark)).toEqual([3]);
    const returned = credits().reduce((sum, add) => sum + (add['a'] ?? 0), 0);
    expect(returned).toBeGreaterThanOrEqual(2);
  });

  test('a frozen camera is unsubscribed, keeps its picture, and is subscribed again afterwards', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    await settle();
    paint();
    painter.receive({ kind: 'freeze', camera: 'a', frozen: true });
    expect(platform.socket.commands('unsubscribe')).toHaveLength(1);
    platform.advance(9_000);
    frame('a', 2);
    await settle();
    paint();
    expect(pictures()).toMatchObject([{ camera: 'a', painted: 1 }]);
    expect(bitmaps[0]?.closed).toBe(false);
    painter.receive({ kind: 'freeze', camera: 'a', frozen: false });
    expect(platform.socket.commands('subscribe')).toHaveLength(2);
    expect(bitmaps[0]?.closed).toBe(false);
  });

  test('a frozen picture is kept while another camera is shown', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    await settle();
    paint();
    painter.receive({ kind: 'freeze', camera: 'a', frozen: true });
    addSurface('b');
    watch('b');
    expect(bitmaps[0]?.closed).toBe(false);
    platform.advance(60_000);
    drawn = [];
    addSurface('a');
    watch('a');
    paint();
    expect(drawn.map(({ mark }) => mark)).toEqual([1]);
    painter.receive({ kind: 'close' });
    expect(bitmaps[0]?.closed).toBe(true);
  });

  test('an old picture is not shown when its camera is watched again', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    await settle();
    paint();
    watch();
    expect(pictures()).toHaveLength(1);
    platform.advance(6_000);
    watch('a');
    expect(pictures()).toEqual([]);
    expect(bitmaps[0]?.closed).toBe(true);
  });

  test('a picture that is being decoded is not painted if its camera is no longer watched', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    watch();
    await settle();
    paint();
    expect(drawn).toEqual([]);
    expect(bitmaps.every(({ closed }) => closed)).toBe(true);
  });

  test('bitmaps are closed when the last surface that shows them is removed', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    await settle();
    paint();
    watch();
    painter.receive({ kind: 'remove', surface: 1 });
    expect(bitmaps[0]?.closed).toBe(true);
  });

  test('the picture of a deleted camera is removed', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    await settle();
    paint();
    platform.socket.event({ type: 'gone', id: 'a' });
    expect(pictures()).toEqual([]);
  });

  test('reports the capture time or the receipt time, and the age by the clock of the hub', async () => {
    const sent = platform.time;
    // The hub is a minute ahead.
    platform.socket.event({ type: 'pong', t: sent, time: (sent + 60_000) * 1000 });
    addSurface('a', 'b');
    watch('a', 'b');
    const captured = (platform.time + 60_000 - 40) * 1000;
    frame('a', 1, captured);
    platform.socket.frame({ camera: 'b', payload: [2], captureTime: 0, receiptTime: captured + 5_000 });
    await settle();
    paint();
    const [a, b] = pictures();
    expect(a).toMatchObject({ captureTime: captured, width: 320, height: 240 });
    expect(a?.paintedAge).toBeCloseTo(40);
    expect(b).toMatchObject({ captureTime: captured + 5_000 });
  });
});
