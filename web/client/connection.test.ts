import { beforeEach, describe, expect, test } from 'vitest';
import { Connection, type Link } from './connection.ts';
import type { HubEvent, StreamChoice, Subscription } from './events.ts';
import type { Frame, SoundUnit } from './frame.ts';
import { FakePlatform } from './testing.ts';

let platform: FakePlatform;
let connection: Connection;
let frames: Frame[];
let sounds: SoundUnit[];
let events: HubEvent[];
let links: Link[];

beforeEach(() => {
  platform = new FakePlatform();
  frames = [];
  sounds = [];
  events = [];
  links = [];
  connection = new Connection('ws://hub/ws/cameras', platform, {
    frame: (frame) => frames.push(frame),
    sound: (unit) => sounds.push(unit),
    event: (event) => events.push(event),
    link: (link) => links.push(link),
  });
  connection.start();
});

const hello = (): void => platform.socket.event({ type: 'hello', version: '0.1.0', time: 1, cameras: [] });
const want = (...cameras: string[]): void =>
  connection.setWanted(new Map(cameras.map((id) => [id, { stream: 'sub', codecs: [] }])));
const wantStreams = (cameras: Record<string, StreamChoice>): void =>
  connection.setWanted(new Map(Object.entries(cameras).map(([id, stream]) => [id, { stream, codecs: [] }])));
const turn = (): Promise<void> => Promise.resolve();

/** Receives hello and stays open long enough to count as stable. */
function becomeStable(): void {
  hello();
  for (let second = 0; second < 6; second++) {
    platform.advance(1_000);
    platform.socket.text('{"type":"stats","time":1,"cameras":{}}');
  }
}

describe('sound', () => {
  const PICTURES: Subscription = { stream: 'sub', codecs: [] };
  const unit = (camera: string): void =>
    platform.socket.frame({ camera, kind: 4, codec: 18, flags: 0, payload: [0xd5] });

  test('a camera is subscribed with its sound, and again without it', () => {
    hello();
    connection.setWanted(new Map([['a', { ...PICTURES, sound: true }]]));
    connection.setWanted(new Map([['a', PICTURES]]));
    expect(platform.socket.commands('subscribe')).toEqual([
      { cmd: 'subscribe', cameras: ['a'], credit: 1, stream: 'sub', sound: true },
      { cmd: 'subscribe', cameras: ['a'], credit: 1, stream: 'sub' },
    ]);
    expect(platform.socket.commands('unsubscribe')).toEqual([]);
  });

  test('the camera with sound is subscribed separately from the others', () => {
    hello();
    connection.setWanted(
      new Map([
        ['a', PICTURES],
        ['b', { ...PICTURES, sound: true }],
        ['c', PICTURES],
      ]),
    );
    expect(platform.socket.commands('subscribe').map(({ cameras, sound }) => [cameras, sound])).toEqual([
      [['a', 'c'], undefined],
      [['b'], true],
    ]);
  });

  test('units reach the listener while they are wanted, and cost no credit', async () => {
    hello();
    connection.setWanted(new Map([['a', { ...PICTURES, sound: true }]]));
    unit('a');
    unit('b');
    await turn();
    expect(sounds).toMatchObject([{ camera: 'a', codec: 18 }]);
    expect(platform.socket.commands('credit')).toEqual([]);
    connection.setWanted(new Map([['a', PICTURES]]));
    unit('a');
    expect(sounds).toHaveLength(1);
    expect(frames).toEqual([]);
  });

  test('sound without pictures gives no credit, and pictures start again later', () => {
    hello();
    connection.setWanted(new Map([['a', PICTURES]]));
    connection.setWanted(new Map([['a', { ...PICTURES, sound: true, pictures: false }]]));
    expect(platform.socket.commands('subscribe').at(-1)).toMatchObject({ credit: 0, sound: true });
    // One was in transit.
    platform.socket.frame({ camera: 'a' });
    expect(frames).toEqual([]);
    connection.setWanted(new Map([['a', { ...PICTURES, sound: true }]]));
    expect(platform.socket.commands('subscribe').at(-1)).toMatchObject({ credit: 1, sound: true });
    platform.socket.frame({ camera: 'a' });
    expect(frames).toHaveLength(1);
  });
});

describe('opening', () => {
  test('requests version 2 of the protocol', () => {
    expect(platform.socket.url).toBe('ws://hub/ws/cameras');
    expect(platform.socket.protocol).toBe('ocelli.v2');
    expect(platform.socket.binaryType).toBe('arraybuffer');
  });

  test('sends nothing before hello', () => {
    want('door');
    expect(platform.socket.sent).toEqual([]);
    hello();
    expect(platform.socket.commands('subscribe')).toEqual([
      { cmd: 'subscribe', cameras: ['door'], credit: 1, stream: 'sub' },
    ]);
    expect(links).toEqual(['open']);
  });

  test('invalid messages are ignored', () => {
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
      platform.socket.text(text);
    }
    platform.socket.onmessage?.({ data: new ArrayBuffer(3) });
    platform.socket.onmessage?.({ data: undefined });
    expect(events.map(({ type }) => type)).toEqual(['hello']);
    expect(frames).toEqual([]);
  });
});

describe('subscriptions', () => {
  test('only changes to the set are sent', () => {
    hello();
    want('a', 'b');
    want('a', 'b');
    want('b', 'c');
    expect(platform.socket.commands('subscribe').map(({ cameras }) => cameras)).toEqual([['a', 'b'], ['c']]);
    expect(platform.socket.commands('unsubscribe')).toEqual([{ cmd: 'unsubscribe', cameras: ['a'] }]);
  });

  test('another stream of a camera is a new subscription', () => {
    hello();
    wantStreams({ a: 'sub', b: 'sub' });
    wantStreams({ a: 'main', b: 'sub' });
    expect(platform.socket.commands('subscribe')).toEqual([
      { cmd: 'subscribe', cameras: ['a', 'b'], credit: 1, stream: 'sub' },
      { cmd: 'subscribe', cameras: ['a'], credit: 1, stream: 'main' },
    ]);
    expect(platform.socket.commands('unsubscribe')).toEqual([]);
  });

  test('a camera that was refused is subscribed when it appears', () => {
    hello();
    want('late');
    platform.socket.event({ type: 'error', code: 'unknown_camera', message: 'no', camera: 'late' });
    expect(platform.socket.commands('subscribe')).toHaveLength(1);
    platform.socket.text('{"type":"camera","camera":{"id":"late","state":"idle","codecs":["jpeg"]}}');
    expect(platform.socket.commands('subscribe').map(({ cameras }) => cameras)).toEqual([['late'], ['late']]);
    platform.socket.text('{"type":"camera","camera":{"id":"late","state":"live","codecs":["jpeg"]}}');
    expect(platform.socket.commands('subscribe')).toHaveLength(2);
  });

  test('a camera that is removed and added again is subscribed again', () => {
    hello();
    want('a');
    platform.socket.event({ type: 'gone', id: 'a' });
    platform.socket.text('{"type":"camera","camera":{"id":"a","state":"idle","codecs":["jpeg"]}}');
    expect(platform.socket.commands('subscribe')).toHaveLength(2);
  });

  test('frames of cameras that are no longer wanted are dropped', () => {
    hello();
    want('a');
    want();
    platform.socket.frame({ camera: 'a' });
    expect(frames).toEqual([]);
  });

  test('a camera that was removed while disconnected is not subscribed after the reconnect', () => {
    becomeStable();
    want('a');
    platform.socket.end();
    want();
    platform.advance(1_000);
    hello();
    platform.socket.frame({ camera: 'a' });
    expect(frames).toEqual([]);
    expect(platform.socket.commands('subscribe')).toEqual([]);
  });

  test('are restored after a reconnect, and the old socket is detached', () => {
    becomeStable();
    want('a');
    const old = platform.socket;
    old.end();
    platform.advance(1_000);
    expect(platform.socket).not.toBe(old);
    expect(old.onmessage).toBeNull();
    hello();
    expect(platform.socket.commands('subscribe')).toEqual([
      { cmd: 'subscribe', cameras: ['a'], credit: 1, stream: 'sub' },
    ]);
    expect(links).toEqual(['open', 'reconnecting', 'open']);
  });
});

describe('credit', () => {
  test('is returned only when a frame is finished', async () => {
    hello();
    want('a');
    platform.socket.frame({ camera: 'a' });
    await turn();
    expect(frames).toHaveLength(1);
    expect(platform.socket.commands('credit')).toEqual([]);
    connection.finished('a');
    await turn();
    expect(platform.socket.commands('credit')).toEqual([{ cmd: 'credit', add: { a: 1 } }]);
  });

  test('is sent in one message for all frames of a turn', async () => {
    hello();
    want('a', 'b');
    platform.socket.frame({ camera: 'a' });
    platform.socket.frame({ camera: 'b' });
    connection.finished('a');
    connection.finished('b');
    await turn();
    expect(platform.socket.commands('credit')).toEqual([{ cmd: 'credit', add: { a: 1, b: 1 } }]);
  });

  test('is not returned twice for one frame, nor for a camera that was unsubscribed', async () => {
    hello();
    want('a');
    platform.socket.frame({ camera: 'a' });
    connection.finished('a');
    connection.finished('a');
    await turn();
    expect(platform.socket.commands('credit')).toEqual([{ cmd: 'credit', add: { a: 1 } }]);
    platform.socket.frame({ camera: 'a' });
    want();
    connection.finished('a');
    await turn();
    expect(platform.socket.commands('credit')).toHaveLength(1);
  });

  test('is 2 at long round trips and 1 again at short ones', async () => {
    hello();
    want('a');
    const sent = platform.socket.commands('ping')[0]?.t ?? 0;
    platform.time += 120;
    platform.socket.event({ type: 'pong', t: sent, time: 1 });
    await turn();
    expect(platform.socket.commands('credit')).toEqual([{ cmd: 'credit', add: { a: 1 } }]);
    platform.socket.frame({ camera: 'a' });
    connection.finished('a');
    await turn();
    expect(platform.socket.commands('credit')).toHaveLength(2);
    want('a', 'b');
    expect(platform.socket.commands('subscribe').at(-1)).toMatchObject({ cameras: ['b'], credit: 2 });
    // The network becomes fast: one credit is not returned.
    platform.socket.event({ type: 'pong', t: platform.time - 4, time: 1 });
    platform.socket.frame({ camera: 'a' });
    connection.finished('a');
    await turn();
    expect(platform.socket.commands('credit')).toHaveLength(2);
  });

  test('is 1 if painting takes longer than the round trip', async () => {
    const paint = async (frames: number, milliseconds: number): Promise<void> => {
      for (let frame = 0; frame < frames; frame++) {
        platform.socket.frame({ camera: 'a' });
        platform.time += milliseconds;
        connection.finished('a');
        await turn();
      }
    };
    const roundTripOf = (milliseconds: number): void =>
      platform.socket.event({ type: 'pong', t: platform.time - milliseconds, time: 1 });
    const outstanding = (camera: string): number | undefined => {
      want('a', camera);
      return platform.socket.commands('subscribe').at(-1)?.credit;
    };
    hello();
    want('a');
    await paint(40, 900);
    roundTripOf(120);
    expect(outstanding('b')).toBe(1);
    await paint(40, 20);
    roundTripOf(120);
    expect(outstanding('c')).toBe(2);
    // Twice as many frames are held twice as long. This must not reduce the credit to 1 again.
    await paint(60, 300);
    roundTripOf(120);
    expect(outstanding('d')).toBe(2);
    await paint(40, 900);
    roundTripOf(120);
    expect(outstanding('e')).toBe(1);
  });

  test('starts over with a new socket', async () => {
    becomeStable();
    want('a');
    platform.socket.frame({ camera: 'a' });
    platform.socket.end();
    platform.advance(1_000);
    hello();
    connection.finished('a');
    await turn();
    expect(platform.socket.commands('credit')).toEqual([]);
    platform.socket.frame({ camera: 'a' });
    connection.finished('a');
    await turn();
    expect(platform.socket.commands('credit')).toEqual([{ cmd: 'credit', add: { a: 1 } }]);
  });
});

describe('reconnecting', () => {
  test('waits longer after each failure, with jitter and an upper limit', () => {
    const waits: number[] = [];
    for (let attempt = 0; attempt < 9; attempt++) {
      const before = platform.sockets.length;
      const start = platform.time;
      platform.socket.end();
      while (platform.sockets.length === before) platform.advance(5);
      waits.push(platform.time - start);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000]);
    platform.randomness = 0;
    const before = platform.sockets.length;
    platform.socket.end();
    platform.advance(2_495);
    expect(platform.sockets).toHaveLength(before);
    platform.advance(10);
    expect(platform.sockets).toHaveLength(before + 1);
  });

  test('three consecutive failures start the fallback, and the attempts continue', () => {
    platform.socket.end();
    platform.advance(500);
    platform.socket.end();
    platform.advance(1_000);
    expect(links).toEqual(['reconnecting']);
    platform.socket.end();
    expect(links).toEqual(['reconnecting', 'fallback']);
    platform.advance(2_000);
    platform.socket.end();
    platform.advance(5_000);
    expect(links).toEqual(['reconnecting', 'fallback']);
    hello();
    expect(links).toEqual(['reconnecting', 'fallback', 'open']);
  });

  test('a stable connection resets the failure count', () => {
    for (const wait of [500, 1_000]) {
      platform.socket.end();
      platform.advance(wait);
    }
    becomeStable();
    platform.socket.end();
    platform.advance(1_500);
    platform.socket.end();
    expect(links).toEqual(['reconnecting', 'open', 'reconnecting']);
  });

  test('a connection that ends soon after hello counts as a failure', () => {
    for (const wait of [500, 1_000, 2_000]) {
      hello();
      platform.socket.end();
      platform.advance(wait);
    }
    expect(links.at(-1)).toBe('fallback');
  });

  test('a page that is not allowed to open sockets uses the fallback', () => {
    platform.refuseSockets = true;
    platform.socket.end();
    platform.advance(10_000);
    expect(links).toEqual(['reconnecting', 'fallback']);
  });

  test('reconnectNow opens one socket', () => {
    platform.socket.end();
    connection.reconnectNow();
    connection.reconnectNow();
    expect(platform.sockets).toHaveLength(2);
    platform.advance(600);
    expect(platform.sockets).toHaveLength(2);
  });

  test('does not reconnect after close', () => {
    hello();
    connection.close();
    platform.advance(60_000);
    expect(platform.sockets).toHaveLength(1);
    expect(platform.socket.closed).toBe(true);
    connection.reconnectNow();
    expect(platform.sockets).toHaveLength(1);
  });
});

describe('watchdog', () => {
  test('ten seconds without a message end the connection', () => {
    hello();
    platform.advance(9_999);
    expect(platform.socket.closed).toBe(false);
    platform.advance(2);
    expect(platform.sockets[0]?.closed).toBe(true);
    expect(links.at(-1)).toBe('reconnecting');
  });

  test('any message resets the watchdog', () => {
    hello();
    for (let round = 0; round < 5; round++) {
      platform.advance(9_000);
      platform.socket.frame();
    }
    expect(platform.sockets).toHaveLength(1);
    platform.advance(10_001);
    expect(platform.sockets[0]?.closed).toBe(true);
  });

  test('a socket that never opens is closed too', () => {
    platform.advance(10_001);
    expect(platform.sockets[0]?.closed).toBe(true);
    platform.advance(1_000);
    expect(platform.sockets).toHaveLength(2);
  });
});

describe('clock', () => {
  const pong = (roundTrip: number, ahead: number): void => {
    const sent = platform.time;
    platform.time += roundTrip;
    platform.socket.event({ type: 'pong', t: sent, time: (sent + roundTrip / 2 + ahead) * 1000 });
  };

  test('takes the offset from the fastest round trip', () => {
    hello();
    pong(40, 5_010);
    pong(4, 5_000);
    pong(60, 4_980);
    expect(connection.clock.microseconds).toBeCloseTo(5_000_000, 0);
    expect(connection.clock.roundTrip).toBe(4);
  });

  test('drops old samples', () => {
    hello();
    pong(4, 5_000);
    for (let round = 0; round < 8; round++) pong(30, 5_003);
    expect(connection.clock.microseconds).toBeCloseTo(5_003_000, 0);
  });

  test('adopts a new offset immediately when a clock was adjusted', () => {
    hello();
    pong(4, 5_000);
    pong(30, -20_000);
    expect(connection.clock.microseconds).toBeCloseTo(-20_000_000, 0);
  });

  test('pings in quick succession at first, then every five seconds', () => {
    hello();
    platform.advance(700);
    expect(platform.socket.commands('ping')).toHaveLength(3);
    platform.advance(5_000);
    expect(platform.socket.commands('ping')).toHaveLength(4);
  });
});
