import { beforeEach, describe, expect, test } from 'vitest';
import { Connection, type Link } from './connection.ts';
import type { HubEvent, StreamChoice } from './events.ts';
import type { Frame } from './frame.ts';
import { FakeWorld } from './testing.ts';

let world: FakeWorld;
let connection: Connection;
let frames: Frame[];
let events: HubEvent[];
let links: Link[];

beforeEach(() => {
  world = new FakeWorld();
  frames = [];
  events = [];
  links = [];
  connection = new Connection('ws://hub/ws/cameras', world, {
    frame: (frame) => frames.push(frame),
    event: (event) => events.push(event),
    link: (link) => links.push(link),
  });
  connection.start();
});

const hello = (): void => world.socket.event({ type: 'hello', version: '0.1.0', time: 1, cameras: [] });
const want = (...cameras: string[]): void => connection.want(new Map(cameras.map((id) => [id, 'sub'])));
const wantStreams = (cameras: Record<string, StreamChoice>): void =>
  connection.want(new Map(Object.entries(cameras)));
const turn = (): Promise<void> => Promise.resolve();

/** Opens, greets, and stays long enough to count as steady. */
function steady(): void {
  hello();
  for (let second = 0; second < 6; second++) {
    world.pass(1_000);
    world.socket.text('{"type":"stats","time":1,"cameras":{}}');
  }
}

describe('opening', () => {
  test('asks for the second form of the protocol', () => {
    expect(world.socket.url).toBe('ws://hub/ws/cameras');
    expect(world.socket.protocol).toBe('ocelli.v2');
    expect(world.socket.binaryType).toBe('arraybuffer');
  });

  test('says nothing before the hub has greeted', () => {
    want('door');
    expect(world.socket.sent).toEqual([]);
    hello();
    expect(world.socket.commands('subscribe')).toEqual([
      { cmd: 'subscribe', cameras: ['door'], credit: 1, stream: 'sub' },
    ]);
    expect(links).toEqual(['open']);
  });

  test('rubbish is passed over', () => {
    hello();
    for (const text of [
      '',
      '{',
      'null',
      '7',
      '[]',
      '{"type":"later"}',
      '{"type":"camera"}',
      '{"type":"gone"}',
    ]) {
      world.socket.text(text);
    }
    world.socket.onmessage?.({ data: new ArrayBuffer(3) });
    world.socket.onmessage?.({ data: undefined });
    expect(events.map(({ type }) => type)).toEqual(['hello']);
    expect(frames).toEqual([]);
  });
});

describe('subscriptions', () => {
  test('are a set: only what changes is said', () => {
    hello();
    want('a', 'b');
    want('a', 'b');
    want('b', 'c');
    expect(world.socket.commands('subscribe').map(({ cameras }) => cameras)).toEqual([['a', 'b'], ['c']]);
    expect(world.socket.commands('unsubscribe')).toEqual([{ cmd: 'unsubscribe', cameras: ['a'] }]);
  });

  test('another stream of a camera is a new subscription', () => {
    hello();
    wantStreams({ a: 'sub', b: 'sub' });
    wantStreams({ a: 'main', b: 'sub' });
    expect(world.socket.commands('subscribe')).toEqual([
      { cmd: 'subscribe', cameras: ['a', 'b'], credit: 1, stream: 'sub' },
      { cmd: 'subscribe', cameras: ['a'], credit: 1, stream: 'main' },
    ]);
    expect(world.socket.commands('unsubscribe')).toEqual([]);
  });

  test('a camera that was refused is asked for when it appears', () => {
    hello();
    want('late');
    world.socket.event({ type: 'error', code: 'unknown_camera', message: 'no', camera: 'late' });
    expect(world.socket.commands('subscribe')).toHaveLength(1);
    world.socket.text('{"type":"camera","camera":{"id":"late","state":"idle","codecs":["jpeg"]}}');
    expect(world.socket.commands('subscribe').map(({ cameras }) => cameras)).toEqual([['late'], ['late']]);
    world.socket.text('{"type":"camera","camera":{"id":"late","state":"live","codecs":["jpeg"]}}');
    expect(world.socket.commands('subscribe')).toHaveLength(2);
  });

  test('a camera that goes and comes back is subscribed again', () => {
    hello();
    want('a');
    world.socket.event({ type: 'gone', id: 'a' });
    world.socket.text('{"type":"camera","camera":{"id":"a","state":"idle","codecs":["jpeg"]}}');
    expect(world.socket.commands('subscribe')).toHaveLength(2);
  });

  test('frames of cameras that are not wanted any more are not handed out', () => {
    hello();
    want('a');
    want();
    world.socket.frame({ camera: 'a' });
    expect(frames).toEqual([]);
  });

  test('a camera that was left while there was no connection is not handed out after', () => {
    steady();
    want('a');
    world.socket.end();
    want();
    world.pass(1_000);
    hello();
    world.socket.frame({ camera: 'a' });
    expect(frames).toEqual([]);
    expect(world.socket.commands('subscribe')).toEqual([]);
  });

  test('come back after a reconnect, and the old socket is silent', () => {
    steady();
    want('a');
    const old = world.socket;
    old.end();
    world.pass(1_000);
    expect(world.socket).not.toBe(old);
    expect(old.onmessage).toBeNull();
    hello();
    expect(world.socket.commands('subscribe')).toEqual([
      { cmd: 'subscribe', cameras: ['a'], credit: 1, stream: 'sub' },
    ]);
    expect(links).toEqual(['open', 'reconnecting', 'open']);
  });
});

describe('credit', () => {
  test('is given when a frame is finished, and not before', async () => {
    hello();
    want('a');
    world.socket.frame({ camera: 'a' });
    await turn();
    expect(frames).toHaveLength(1);
    expect(world.socket.commands('credit')).toEqual([]);
    connection.finished('a');
    await turn();
    expect(world.socket.commands('credit')).toEqual([{ cmd: 'credit', add: { a: 1 } }]);
  });

  test('goes out in one message for all frames of a turn', async () => {
    hello();
    want('a', 'b');
    world.socket.frame({ camera: 'a' });
    world.socket.frame({ camera: 'b' });
    connection.finished('a');
    connection.finished('b');
    await turn();
    expect(world.socket.commands('credit')).toEqual([{ cmd: 'credit', add: { a: 1, b: 1 } }]);
  });

  test('is not given twice for one frame, nor for a camera left since', async () => {
    hello();
    want('a');
    world.socket.frame({ camera: 'a' });
    connection.finished('a');
    connection.finished('a');
    await turn();
    expect(world.socket.commands('credit')).toEqual([{ cmd: 'credit', add: { a: 1 } }]);
    world.socket.frame({ camera: 'a' });
    want();
    connection.finished('a');
    await turn();
    expect(world.socket.commands('credit')).toHaveLength(1);
  });

  test('two stand at long round trips, one again at short ones', async () => {
    hello();
    want('a');
    const sent = world.socket.commands('ping')[0]?.t ?? 0;
    world.time += 120;
    world.socket.event({ type: 'pong', t: sent, time: 1 });
    await turn();
    expect(world.socket.commands('credit')).toEqual([{ cmd: 'credit', add: { a: 1 } }]);
    world.socket.frame({ camera: 'a' });
    connection.finished('a');
    await turn();
    expect(world.socket.commands('credit')).toHaveLength(2);
    want('a', 'b');
    expect(world.socket.commands('subscribe').at(-1)).toMatchObject({ cameras: ['b'], credit: 2 });
    // The line becomes fast: one credit is not given back.
    world.socket.event({ type: 'pong', t: world.time - 4, time: 1 });
    world.socket.frame({ camera: 'a' });
    connection.finished('a');
    await turn();
    expect(world.socket.commands('credit')).toHaveLength(2);
  });

  test('one stands where painting takes longer than the round trip', async () => {
    const paint = async (frames: number, milliseconds: number): Promise<void> => {
      for (let frame = 0; frame < frames; frame++) {
        world.socket.frame({ camera: 'a' });
        world.time += milliseconds;
        connection.finished('a');
        await turn();
      }
    };
    const roundTripOf = (milliseconds: number): void =>
      world.socket.event({ type: 'pong', t: world.time - milliseconds, time: 1 });
    const standing = (camera: string): number | undefined => {
      want('a', camera);
      return world.socket.commands('subscribe').at(-1)?.credit;
    };
    hello();
    want('a');
    await paint(40, 900);
    roundTripOf(120);
    expect(standing('b')).toBe(1);
    await paint(40, 20);
    roundTripOf(120);
    expect(standing('c')).toBe(2);
    // Twice as many frames wait twice as long: that alone is no reason to go back to one.
    await paint(60, 300);
    roundTripOf(120);
    expect(standing('d')).toBe(2);
    await paint(40, 900);
    roundTripOf(120);
    expect(standing('e')).toBe(1);
  });

  test('starts anew with a new socket', async () => {
    steady();
    want('a');
    world.socket.frame({ camera: 'a' });
    world.socket.end();
    world.pass(1_000);
    hello();
    connection.finished('a');
    await turn();
    expect(world.socket.commands('credit')).toEqual([]);
    world.socket.frame({ camera: 'a' });
    connection.finished('a');
    await turn();
    expect(world.socket.commands('credit')).toEqual([{ cmd: 'credit', add: { a: 1 } }]);
  });
});

describe('reconnecting', () => {
  test('waits longer each time, with jitter, and not for ever', () => {
    const waits: number[] = [];
    for (let attempt = 0; attempt < 9; attempt++) {
      const before = world.sockets.length;
      const start = world.time;
      world.socket.end();
      while (world.sockets.length === before) world.pass(5);
      waits.push(world.time - start);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000]);
    world.randomness = 0;
    const before = world.sockets.length;
    world.socket.end();
    world.pass(2_495);
    expect(world.sockets).toHaveLength(before);
    world.pass(10);
    expect(world.sockets).toHaveLength(before + 1);
  });

  test('three failures in a row mean fallback, and the attempts go on until it is restored', () => {
    world.socket.end();
    world.pass(500);
    world.socket.end();
    world.pass(1_000);
    expect(links).toEqual(['reconnecting']);
    world.socket.end();
    expect(links).toEqual(['reconnecting', 'fallback']);
    world.pass(2_000);
    world.socket.end();
    world.pass(5_000);
    expect(links).toEqual(['reconnecting', 'fallback']);
    hello();
    expect(links).toEqual(['reconnecting', 'fallback', 'open']);
  });

  test('a steady connection forgives earlier failures', () => {
    for (const wait of [500, 1_000]) {
      world.socket.end();
      world.pass(wait);
    }
    steady();
    world.socket.end();
    world.pass(1_500);
    world.socket.end();
    expect(links).toEqual(['reconnecting', 'open', 'reconnecting']);
  });

  test('a hub that greets and hangs up is a failure too', () => {
    for (const wait of [500, 1_000, 2_000]) {
      hello();
      world.socket.end();
      world.pass(wait);
    }
    expect(links.at(-1)).toBe('fallback');
  });

  test('a page that may not open sockets falls back', () => {
    world.refuseSockets = true;
    world.socket.end();
    world.pass(10_000);
    expect(links).toEqual(['reconnecting', 'fallback']);
  });

  test('hurries when asked, once', () => {
    world.socket.end();
    connection.hurry();
    connection.hurry();
    expect(world.sockets).toHaveLength(2);
    world.pass(600);
    expect(world.sockets).toHaveLength(2);
  });

  test('ends for good when closed', () => {
    hello();
    connection.close();
    world.pass(60_000);
    expect(world.sockets).toHaveLength(1);
    expect(world.socket.closed).toBe(true);
    connection.hurry();
    expect(world.sockets).toHaveLength(1);
  });
});

describe('watchdog', () => {
  test('ten seconds of silence mean a dead connection', () => {
    hello();
    world.pass(9_999);
    expect(world.socket.closed).toBe(false);
    world.pass(2);
    expect(world.sockets[0]?.closed).toBe(true);
    expect(links.at(-1)).toBe('reconnecting');
  });

  test('any message is a sign of life', () => {
    hello();
    for (let round = 0; round < 5; round++) {
      world.pass(9_000);
      world.socket.frame();
    }
    expect(world.sockets).toHaveLength(1);
    world.pass(10_001);
    expect(world.sockets[0]?.closed).toBe(true);
  });

  test('a socket that never opens is given up as well', () => {
    world.pass(10_001);
    expect(world.sockets[0]?.closed).toBe(true);
    world.pass(1_000);
    expect(world.sockets).toHaveLength(2);
  });
});

describe('clock', () => {
  const pong = (roundTrip: number, ahead: number): void => {
    const sent = world.time;
    world.time += roundTrip;
    world.socket.event({ type: 'pong', t: sent, time: (sent + roundTrip / 2 + ahead) * 1000 });
  };

  test('takes the offset from the fastest round trip', () => {
    hello();
    pong(40, 5_010);
    pong(4, 5_000);
    pong(60, 4_980);
    expect(connection.clock.microseconds).toBeCloseTo(5_000_000, 0);
    expect(connection.clock.roundTrip).toBe(4);
  });

  test('forgets a fast sample in time', () => {
    hello();
    pong(4, 5_000);
    for (let round = 0; round < 8; round++) pong(30, 5_003);
    expect(connection.clock.microseconds).toBeCloseTo(5_003_000, 0);
  });

  test('follows at once when a clock was set', () => {
    hello();
    pong(4, 5_000);
    pong(30, -20_000);
    expect(connection.clock.microseconds).toBeCloseTo(-20_000_000, 0);
  });

  test('pings quickly at first, then every five seconds', () => {
    hello();
    world.pass(700);
    expect(world.socket.commands('ping')).toHaveLength(3);
    world.pass(5_000);
    expect(world.socket.commands('ping')).toHaveLength(4);
  });
});
