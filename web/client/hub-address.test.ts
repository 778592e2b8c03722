import { expect, test } from 'vitest';
import { HubAddress, idOf, roomOf } from './hub-address.ts';

test('socket and picture addresses are derived from the hub address, including its path and token', () => {
  const plain = new HubAddress('http://hub:8080');
  expect(plain.socket).toBe('ws://hub:8080/ws/cameras');
  expect(plain.cameras).toBe('http://hub:8080/api/v1/cameras');
  expect(plain.mjpeg('door', 'sub')).toBe('http://hub:8080/live/live/door/mjpeg?stream=sub');
  const remote = new HubAddress('https://example.org/cams/', 'a b');
  expect(remote.socket).toBe('wss://example.org/cams/ws/cameras?token=a+b');
  expect(remote.mjpeg('barn/cow', 'main')).toBe(
    'https://example.org/cams/live/barn/cow/mjpeg?token=a+b&stream=main',
  );
  expect(remote.snapshot('barn/cow', 'sub')).toMatch(
    /^https:\/\/example\.org\/cams\/live\/barn\/cow\/frame\.jpg\?token=a\+b&stream=sub&at=\d+$/,
  );
});

test('the address of the series socket lists the requested names', () => {
  const hub = new HubAddress('https://example.org/cams', 'pt_1');
  expect(new HubAddress('http://hub:8080').series([])).toBe('ws://hub:8080/ws/series');
  expect(hub.series(['a b', 'c&d'])).toBe(
    'wss://example.org/cams/ws/series?token=pt_1&series=a+b&series=c%26d',
  );
  expect(hub.seriesById(7)).toBe('https://example.org/cams/api/v1/series/7?token=pt_1');
  expect(hub.host).toBe('example.org');
});

test('a page is foreign unless scheme, host and port are the same', () => {
  const hub = new HubAddress('https://example.org/cams/');
  expect(hub.isForeign('https://example.org')).toBe(false);
  for (const origin of ['http://example.org', 'https://example.org:8443', 'https://dash.example.org', 'null'])
    expect(hub.isForeign(origin)).toBe(true);
});

test('ids convert to app and room and back', () => {
  expect(roomOf('door')).toEqual({ app: 'live', room: 'door' });
  expect(roomOf('barn/cow')).toEqual({ app: 'barn', room: 'cow' });
  expect(idOf('live', 'door')).toBe('door');
  expect(idOf('barn', 'cow')).toBe('barn/cow');
});
