// The credit of native video, and how rarely it is returned.
import { beforeEach, describe, expect, test } from 'vitest';
import { Connection } from './connection.ts';
import type { NativeCodec, StreamChoice } from './events.ts';
import { FakePlatform } from './testing.ts';

let platform: FakePlatform;
let connection: Connection;

beforeEach(() => {
  platform = new FakePlatform();
  const ignore = (): void => undefined;
  connection = new Connection('ws://hub/ws/cameras', platform, {
    frame: ignore,
    sound: ignore,
    event: ignore,
    link: ignore,
  });
  connection.start();
});

const hello = (): void => platform.socket.event({ type: 'hello', version: '0.1.0', time: 1, cameras: [] });
const want = (cameras: Record<string, StreamChoice>, codecs: NativeCodec[] = ['h264']): void =>
  connection.setWanted(new Map(Object.entries(cameras).map(([id, stream]) => [id, { stream, codecs }])));
const turn = (): Promise<void> => Promise.resolve();

describe('native video', () => {
  const unit = (camera = 'a'): void => platform.socket.frame({ camera, codec: 2, flags: 1 });
  const creditMessages = (): number => platform.socket.commands('credit').length;
  const roundTripOf = (milliseconds: number): void =>
    platform.socket.event({ type: 'pong', t: platform.time - milliseconds, time: 1 });

  /** A hub that sends units of these cameras at a fixed rate while their credit lasts. Returns how many it sent. */
  async function play(cameras: string[], fps: number, seconds: number, roundTrip = 0): Promise<number> {
    let sent = 0;
    let seen = 0;
    const standing = new Map<string, number>();
    const inTransit: { readonly at: number; readonly add: Readonly<Record<string, number>> }[] = [];
    for (const { cameras: added, credit } of platform.socket.commands('subscribe'))
      for (const camera of added) standing.set(camera, credit ?? 0);
    for (let step = 0; step < fps * seconds; step++) {
      platform.time += 1000 / fps;
      while (inTransit[0] && inTransit[0].at <= platform.time)
        for (const [camera, more] of Object.entries(inTransit.shift()?.add ?? {}))
          standing.set(camera, Math.min(64, (standing.get(camera) ?? 0) + more));
      for (const camera of cameras) {
        const left = standing.get(camera) ?? 0;
        if (left === 0) continue;
        standing.set(camera, left - 1);
        unit(camera);
        connection.finished(camera);
        sent += 1;
      }
      await turn();
      for (const { add } of platform.socket.commands('credit').slice(seen))
        inTransit.push({ at: platform.time + roundTrip, add });
      seen = creditMessages();
    }
    return sent;
  }

  test('lists the codecs, best first, and JPEG last', () => {
    hello();
    want({ a: 'sub' }, ['h264', 'h265']);
    want({ a: 'main' });
    expect(platform.socket.commands('subscribe')).toEqual([
      { cmd: 'subscribe', cameras: ['a'], credit: 8, stream: 'sub', codecs: ['h264', 'h265', 'jpeg'] },
      { cmd: 'subscribe', cameras: ['a'], credit: 8, stream: 'main', codecs: ['h264', 'jpeg'] },
    ]);
  });

  test('a restart is a new subscription of the same stream', () => {
    hello();
    want({ a: 'sub', b: 'sub' });
    connection.restart('a');
    connection.restart('unknown');
    expect(platform.socket.commands('unsubscribe')).toEqual([{ cmd: 'unsubscribe', cameras: ['a'] }]);
    expect(platform.socket.commands('subscribe').map(({ cameras }) => cameras)).toEqual([['a', 'b'], ['a']]);
  });

  test('a lone camera costs at most four credit messages a second and never waits for credit', async () => {
    hello();
    want({ a: 'main' });
    expect(await play(['a'], 15, 10)).toBe(150);
    expect(creditMessages()).toBeLessThan(40);
  });

  test('sixteen cameras share their credit messages', async () => {
    hello();
    const cameras = Array.from({ length: 16 }, (_, index) => `cam${index}`);
    want(Object.fromEntries(cameras.map((camera) => [camera, 'sub'])));
    expect(await play(cameras, 15, 10)).toBe(16 * 150);
    expect(creditMessages()).toBeLessThan(45);
  });

  test.each([
    [1, 0],
    [15, 120],
    [30, 300],
    [60, 300],
  ])('at %i fps and a round trip of %i ms nearly every unit has credit', async (fps, roundTrip) => {
    hello();
    want({ a: 'main' });
    roundTripOf(roundTrip);
    expect(await play(['a'], fps, 10, roundTrip)).toBeGreaterThan(fps * 10 * 0.9);
  });

  test('a decoder that does not take its units uses up the credit, which returns when it does', async () => {
    hello();
    want({ a: 'main' });
    for (let step = 0; step < 8; step++) unit();
    await turn();
    expect(creditMessages()).toBe(0);
    for (let step = 0; step < 8; step++) connection.finished('a');
    await turn();
    expect(creditMessages()).toBe(1);
    expect(platform.socket.commands('credit')[0]?.add['a']).toBeGreaterThanOrEqual(8);
  });

  test('a stream that becomes JPEG keeps the credit of JPEG', async () => {
    hello();
    want({ a: 'main' });
    for (let step = 0; step < 8; step++) {
      unit();
      connection.finished('a');
    }
    await turn();
    // The hub has reduced the credit to the limit of JPEG.
    for (let step = 0; step < 8; step++) {
      platform.socket.frame({ camera: 'a' });
      connection.finished('a');
      await turn();
    }
    const before = creditMessages();
    platform.socket.frame({ camera: 'a' });
    connection.finished('a');
    await turn();
    expect(platform.socket.commands('credit').slice(before)).toEqual([{ cmd: 'credit', add: { a: 1 } }]);
  });
});

test('JPEG that is painted quickly returns its credit every second frame', async () => {
  hello();
  want({ a: 'sub' }, []);
  const paint = async (frames: number, milliseconds: number): Promise<number> => {
    const before = platform.socket.commands('credit').length;
    for (let frame = 0; frame < frames; frame++) {
      platform.socket.frame({ camera: 'a' });
      platform.time += milliseconds;
      connection.finished('a');
      await turn();
    }
    platform.socket.event({ type: 'pong', t: platform.time - 2, time: 1 });
    await turn();
    return platform.socket.commands('credit').length - before;
  };
  await paint(20, 10);
  expect(await paint(40, 10)).toBe(20);
  await paint(40, 200);
  // A pong can return credit too.
  expect(await paint(40, 200), 'a slow screen').toBeGreaterThan(37);
});

test('credit that can wait goes out at once if the hub has none left', async () => {
  hello();
  want({ a: 'sub' }, []);
  const receive = (): void => platform.socket.frame({ camera: 'a' });
  const finish = async (): Promise<void> => {
    connection.finished('a');
    await turn();
  };
  for (let frame = 0; frame < 20; frame++) {
    receive();
    await finish();
  }
  platform.socket.event({ type: 'pong', t: platform.time - 2, time: 1 });
  // Two credits stand, and both are used before the first picture is painted.
  receive();
  await finish();
  const before = platform.socket.commands('credit').length;
  receive();
  receive();
  await finish();
  expect(platform.socket.commands('credit')).toHaveLength(before + 1);
});
