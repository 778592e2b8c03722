import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { explainClose, ingestAddress, parseHubMessage } from './ingest-protocol.ts';
import { Publisher, type PushSocket, type PublishState } from './publisher.ts';

class FakePushSocket implements PushSocket {
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  bufferedAmount = 0;
  closedWith: number | undefined;
  readonly sent: (string | Blob)[] = [];

  send(data: string | Blob): void {
    this.sent.push(data);
  }

  close(code?: number): void {
    this.closedWith = code;
  }

  receive(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) } as MessageEvent);
  }

  end(code: number): void {
    this.onclose?.({ code } as CloseEvent);
  }

  frames(): number {
    return this.sent.filter((data) => data instanceof Blob).length;
  }
}

const READY = {
  type: 'ready',
  room: 'live-door',
  maxFps: 5,
  maxFrameBytes: 1000,
  streamId: 's',
  idleTimeoutSec: 30,
};

let sockets: FakePushSocket[];
let states: PublishState[];
let scales: number[];
let size: number;

function createPublisher(fps = 10): Publisher {
  return new Publisher({
    open() {
      const socket = new FakePushSocket();
      sockets.push(socket);
      return socket;
    },
    capture(scale) {
      scales.push(scale);
      return Promise.resolve(new Blob([new Uint8Array(size)]));
    },
    fps,
    onstate: (state) => states.push(state),
  });
}

const lastSocket = (): FakePushSocket => {
  const socket = sockets.at(-1);
  if (!socket) throw new Error('no socket was opened');
  return socket;
};

beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
  states = [];
  scales = [];
  size = 100;
});

afterEach(() => vi.useRealTimers());

test('frames are sent only after ready, and at most at the maximum rate of the hub', async () => {
  const publisher = createPublisher();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(lastSocket().sent).toEqual([]);
  lastSocket().receive(READY);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(lastSocket().frames()).toBe(11); // one immediately, then five per second
  expect(states).toEqual([{ kind: 'connecting' }, { kind: 'live', room: 'live-door' }]);
  expect(publisher.counts).toEqual({ sent: 11, skipped: 0, bytes: 1100 });
});

test('a repeated ready message does not increase the rate', async () => {
  createPublisher();
  lastSocket().receive(READY);
  lastSocket().receive(READY);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(lastSocket().frames()).toBe(11);
});

test('no frame is sent while the previous one is still buffered', async () => {
  const publisher = createPublisher();
  lastSocket().receive(READY);
  await vi.advanceTimersByTimeAsync(0);
  lastSocket().bufferedAmount = 100;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(lastSocket().frames()).toBe(1);
  expect(publisher.counts.skipped).toBe(5);
  lastSocket().bufferedAmount = 0;
  await vi.advanceTimersByTimeAsync(200);
  expect(lastSocket().frames()).toBe(2);
});

test('stats are sent soon after the start and then every 30 seconds', async () => {
  createPublisher();
  lastSocket().receive(READY);
  await vi.advanceTimersByTimeAsync(63_500);
  const stats = lastSocket().sent.filter((data): data is string => typeof data === 'string');
  expect(stats.map((text) => JSON.parse(text) as unknown)).toEqual([
    { type: 'stats', fps: expect.closeTo(5, 0) as number, skipped: 0 },
    { type: 'stats', fps: 5, skipped: 0 },
    { type: 'stats', fps: 5, skipped: 0 },
  ]);
});

test('pictures that are too large are scaled down, before and after the hub rejects one', async () => {
  size = 1001;
  createPublisher();
  lastSocket().receive(READY);
  await vi.advanceTimersByTimeAsync(250);
  expect(lastSocket().frames()).toBe(0);
  expect(scales[1]).toBeCloseTo(0.8);
  lastSocket().end(4413);
  await vi.advanceTimersByTimeAsync(2_000);
  size = 100;
  lastSocket().receive(READY);
  await vi.advanceTimersByTimeAsync(0);
  expect(scales.at(-1)).toBeCloseTo(0.8 ** 3);
  expect(lastSocket().frames()).toBe(1);
});

test('the publisher reconnects after a lost connection, and waits longer if the hub is full', async () => {
  createPublisher();
  lastSocket().end(1006);
  expect(states.at(-1)).toMatchObject({ kind: 'waiting', reason: 'The hub cannot be reached.' });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(sockets).toHaveLength(2);
  lastSocket().receive({ type: 'error', code: 'quota_exceeded', message: 'app "live" takes 3 cameras' });
  lastSocket().end(4403);
  expect(states.at(-1)).toMatchObject({ kind: 'waiting', reason: 'App “live” takes 3 cameras.' });
  await vi.advanceTimersByTimeAsync(59_000);
  expect(sockets).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(6_000);
  expect(sockets).toHaveLength(3);
});

test.each([4401, 4409, 1000])('the publisher does not reconnect after close code %d', async (code) => {
  createPublisher();
  lastSocket().receive(READY);
  lastSocket().end(code);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(sockets).toHaveLength(1);
  expect(states.at(-1)?.kind).toBe('ended');
});

test('a stopped publisher sends nothing and does not reconnect', async () => {
  const publisher = createPublisher();
  lastSocket().receive(READY);
  await vi.advanceTimersByTimeAsync(0);
  publisher.stop();
  lastSocket().end(1000);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(lastSocket().closedWith).toBe(1000);
  expect(lastSocket().frames()).toBe(1);
  expect(sockets).toHaveLength(1);
});

test('valid messages from the hub are parsed, and others are ignored', () => {
  expect(parseHubMessage(JSON.stringify(READY))).toEqual({
    ready: { room: 'live-door', maxFps: 5, maxFrameBytes: 1000 },
  });
  expect(parseHubMessage('{"type":"error","message":"no"}')).toEqual({ refused: 'no' });
  for (const invalid of [
    '',
    'null',
    '3',
    '{"type":"ready"}',
    '{"type":"ready","maxFps":"5","maxFrameBytes":1}',
  ]) {
    expect(parseHubMessage(invalid)).toBeUndefined();
  }
  expect(explainClose(4409, 'x').text).toContain('Another device');
});

test('the ingest address includes the escaped key', () => {
  expect(ingestAddress('https://hub.lan:8443', 'live', 'a b', 'wsk_1&2')).toBe(
    'wss://hub.lan:8443/ingest/ws?app=live&room=a+b&key=wsk_1%262',
  );
});
