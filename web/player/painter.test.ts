import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeWorld } from '../client/testing.ts';
import type { FromPainter, Picture, ToPainter } from './messages.ts';
import { Painter } from './painter.ts';

/** What a browser makes of a JPEG; here its first byte tells which one it is. */
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

let world: FakeWorld;
let painter: Painter;
let posted: FromPainter[];
let bitmaps: FakeBitmap[];
let drawn: { mark: number; at: number[] }[];
let paintDue: (() => void) | undefined;

beforeEach(() => {
  world = new FakeWorld();
  posted = [];
  bitmaps = [];
  drawn = [];
  paintDue = undefined;
  vi.stubGlobal('createImageBitmap', async (blob: Blob) => {
    const mark = new Uint8Array(await blob.arrayBuffer())[0] ?? 0;
    if (mark === BROKEN) throw new Error('not a picture');
    const bitmap = new FakeBitmap(mark);
    bitmaps.push(bitmap);
    return bitmap;
  });
  painter = new Painter({
    world,
    post: (message) => posted.push(message),
    nextPaint: (callback) => (paintDue = callback),
  });
  painter.receive({ kind: 'open', url: 'ws://hub/ws/cameras' });
  world.socket.event({ type: 'hello', version: '0.1.0', time: 1, cameras: [] });
});

afterEach(() => vi.unstubAllGlobals());

const watch = (...cameras: string[]): void =>
  painter.receive({ kind: 'watch', cameras: new Map(cameras.map((camera) => [camera, 'sub'])) });

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
  const due = paintDue;
  paintDue = undefined;
  due?.();
}

/** Lets decoding and the messages of this turn happen. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

function frame(camera: string, mark: number, captureTime = world.time * 1000): void {
  world.socket.frame({ camera, payload: [mark], captureTime });
}

const credits = (): Record<string, number>[] =>
  world.socket.commands('credit').map(({ add }) => ({ ...add }));

function pictures(): readonly Picture[] {
  world.pass(250);
  const last = posted.filter((message) => message.kind === 'pictures').at(-1);
  return last?.pictures ?? [];
}

describe('painter', () => {
  test('paints a picture where its camera is placed, whole, and then asks for the next', async () => {
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

  test('paints only what is new, and closes what it replaces', async () => {
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

  test('what cannot be decoded, or is not JPEG, does not stop its camera', async () => {
    addSurface('a');
    watch('a');
    frame('a', BROKEN);
    await settle();
    expect(credits()).toEqual([{ a: 1 }]);
    world.socket.frame({ camera: 'a', codec: 2 });
    await settle();
    expect(credits()).toHaveLength(2);
    frame('a', 5);
    await settle();
    paint();
    expect(drawn.map(({ mark }) => mark)).toEqual([5]);
  });

  test('of two that come while one is decoded, the newer is painted, and both are paid for', async () => {
    world.socket.event({ type: 'pong', t: world.time - 200, time: 1 });
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
    const given = credits().reduce((sum, add) => sum + (add['a'] ?? 0), 0);
    expect(given).toBeGreaterThanOrEqual(2);
  });

  test('a frozen camera is left, keeps its picture, and is asked for again', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    await settle();
    paint();
    painter.receive({ kind: 'freeze', camera: 'a', frozen: true });
    expect(world.socket.commands('unsubscribe')).toHaveLength(1);
    world.pass(9_000);
    frame('a', 2);
    await settle();
    paint();
    expect(pictures()).toMatchObject([{ camera: 'a', painted: 1 }]);
    expect(bitmaps[0]?.closed).toBe(false);
    painter.receive({ kind: 'freeze', camera: 'a', frozen: false });
    expect(world.socket.commands('subscribe')).toHaveLength(2);
    expect(bitmaps[0]?.closed).toBe(false);
  });

  test('a frozen picture is there again after another was looked at', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    await settle();
    paint();
    painter.receive({ kind: 'freeze', camera: 'a', frozen: true });
    addSurface('b');
    watch('b');
    expect(bitmaps[0]?.closed).toBe(false);
    world.pass(60_000);
    drawn = [];
    addSurface('a');
    watch('a');
    paint();
    expect(drawn.map(({ mark }) => mark)).toEqual([1]);
    painter.receive({ kind: 'close' });
    expect(bitmaps[0]?.closed).toBe(true);
  });

  test('somebody who looks again is not shown the past', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    await settle();
    paint();
    watch();
    expect(pictures()).toHaveLength(1);
    world.pass(6_000);
    watch('a');
    expect(pictures()).toEqual([]);
    expect(bitmaps[0]?.closed).toBe(true);
  });

  test('a picture that was on its way when its camera was left is never painted', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    watch();
    await settle();
    paint();
    expect(drawn).toEqual([]);
    expect(bitmaps.every(({ closed }) => closed)).toBe(true);
  });

  test('bitmaps are closed with the last surface that showed them', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    await settle();
    paint();
    watch();
    painter.receive({ kind: 'remove', surface: 1 });
    expect(bitmaps[0]?.closed).toBe(true);
  });

  test('a camera that is gone leaves no picture behind', async () => {
    addSurface('a');
    watch('a');
    frame('a', 1);
    await settle();
    paint();
    world.socket.event({ type: 'gone', id: 'a' });
    expect(pictures()).toEqual([]);
  });

  test('reports the capture time, or that of receipt, and the age by the clock of the hub', async () => {
    const sent = world.time;
    // The hub is a minute ahead.
    world.socket.event({ type: 'pong', t: sent, time: (sent + 60_000) * 1000 });
    addSurface('a', 'b');
    watch('a', 'b');
    const captured = (world.time + 60_000 - 40) * 1000;
    frame('a', 1, captured);
    world.socket.frame({ camera: 'b', payload: [2], captureTime: 0, receiptTime: captured + 5_000 });
    await settle();
    paint();
    const [a, b] = pictures();
    expect(a).toMatchObject({ captureTime: captured, width: 320, height: 240 });
    expect(a?.paintedAge).toBeCloseTo(40);
    expect(b).toMatchObject({ captureTime: captured + 5_000 });
  });
});
