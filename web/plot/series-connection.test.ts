import { beforeEach, describe, expect, it } from 'vitest';
import { SeriesConnection, type SeriesLink } from './series-connection.ts';
import { parseMessage, type SeriesPart } from './series-message.ts';
import { SeriesSet } from './series-set.ts';

class Socket {
  binaryType = '';
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event?: { code: number }) => void) | null = null;
  readonly sent: string[] = [];
  closed = false;
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
  }
}

let sockets: Socket[];
let timers: (() => void)[];
let messages: { parts: SeriesPart[]; isHistory: boolean }[];
let links: SeriesLink[];
let connection: SeriesConnection;

const lastSocket = (): Socket => {
  const socket = sockets.at(-1);
  if (!socket) throw new Error('no socket');
  return socket;
};
const deliver = (points: [number, number][]): void =>
  lastSocket().onmessage?.({ data: JSON.stringify({ series: [{ id: 1, name: 'a', points }] }) });

beforeEach(() => {
  [sockets, timers, messages, links] = [[], [], [], []];
  const platform = {
    openSocket: () => {
      const socket = new Socket();
      sockets.push(socket);
      return socket as never;
    },
    now: () => 0,
    after: (_: number, callback: () => void) => {
      timers.push(callback);
      return () => undefined;
    },
    random: () => 0,
  };
  connection = new SeriesConnection('ws://hub/ws/series', platform, {
    message: (parts, isHistory) => messages.push({ parts, isHistory }),
    link: (link) => links.push(link),
  });
});

const NOW = 1_700_000_000_000;

describe('a series connection', () => {
  it('sends one request at a time, and only when requestNext is called', () => {
    connection.requestNext();
    expect(lastSocket().sent).toEqual([]);
    deliver([[1, 1]]);
    expect(messages[0]?.isHistory).toBe(true);
    expect(lastSocket().sent).toEqual([]);
    connection.requestNext();
    connection.requestNext();
    expect(lastSocket().sent).toEqual(['']);
    deliver([[2, 2]]);
    expect(messages[1]?.isHistory).toBe(false);
    connection.requestNext();
    expect(lastSocket().sent).toEqual(['', '']);
  });

  it('reconnects, and the new history replaces the old samples', () => {
    deliver([[1, 1]]);
    lastSocket().onclose?.();
    expect(links).toEqual(['open', 'reconnecting']);
    timers.shift()?.();
    connection.requestNext();
    expect(lastSocket().sent).toEqual([]);
    deliver([
      [1, 1],
      [2, 2],
    ]);
    expect(messages.at(-1)?.isHistory).toBe(true);
    const set = new SeriesSet();
    for (const { parts, isHistory } of messages) set.apply(parts, isHistory, NOW);
    expect(set.get(1)?.samples.length).toBe(2);
  });

  it('reports that it was refused', () => {
    lastSocket().onclose?.({ code: 4401 });
    expect(links).toEqual(['refused']);
    connection.close();
    expect(lastSocket().closed).toBe(false);
  });
});

describe('a set of series', () => {
  const part = (fields: Partial<SeriesPart>): SeriesPart => ({
    id: 1,
    name: 'a',
    unit: undefined,
    xy: false,
    clockOffset: undefined,
    gone: false,
    gap: 0,
    points: [],
    ...fields,
  });

  it('reports when series are added, renamed or deleted', () => {
    const set = new SeriesSet();
    expect(set.apply([part({})], true, NOW)).toBe(true);
    expect(set.apply([part({ points: [[1, 1]] })], false, NOW)).toBe(false);
    expect(set.apply([part({ name: 'b' })], false, NOW)).toBe(true);
    expect(set.apply([part({ unit: 'V', gap: 3 })], false, NOW)).toBe(true);
    expect(set.get(1)).toMatchObject({ name: 'a', unit: 'V', missed: 3, timed: true });
    expect(set.apply([part({ id: 2, xy: true, points: [[5, 1]] })], false, NOW)).toBe(true);
    expect(set.get(2)?.timed).toBe(false);
    expect(set.apply([part({ gone: true })], false, NOW)).toBe(true);
    expect(set.all().map(({ id }) => id)).toEqual([2]);
    expect(set.apply([], true, NOW)).toBe(true);
  });

  it('is replaced by a history even of the same series, so that the chart is recreated', () => {
    const set = new SeriesSet();
    set.apply([part({ points: [[1, 1]] })], true, NOW);
    const before = set.get(1);
    expect(set.apply([part({ points: [[1, 1]] })], true, NOW)).toBe(true);
    expect(set.get(1)).not.toBe(before);
  });

  it('detects from the first samples that x is not a time', () => {
    const set = new SeriesSet();
    set.apply([part({})], true, NOW);
    set.apply([part({ xy: true, points: [[0.5, 1]] })], false, NOW);
    expect(set.get(1)?.timed).toBe(false);
    expect(set.get(1)?.samples.length).toBe(1);
  });

  it('ignores invalid messages', () => {
    for (const text of ['', '{', 'null', '[]', '{"series":3}', '{"series":[null,3,{"id":"1"}]}'])
      expect(parseMessage(text)).toEqual([]);
  });
});
