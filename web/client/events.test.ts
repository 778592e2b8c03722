import { expect, test } from 'vitest';
import { parseEvent } from './events.ts';

test('a camera lists its streams, and what is not known yet is missing', () => {
  const streams = [
    { name: 'main', codec: 'h264', type: 'avc1.64001f', width: 1920, height: 1080, fps: 15, later: 1 },
    { name: 'sub', codec: 'h265', type: null, width: 'wide' },
    { name: 'sub' },
    'main',
  ];
  const event = parseEvent(JSON.stringify({ type: 'camera', camera: { id: 'a', state: 'live', streams } }));
  expect(event).toMatchObject({ camera: { id: 'a' } });
  expect(event?.type === 'camera' ? event.camera.streams : undefined).toEqual([
    { name: 'main', codec: 'h264', type: 'avc1.64001f', width: 1920, height: 1080, fps: 15 },
    { name: 'sub', codec: 'h265' },
  ]);
  expect(parseEvent('{"type":"camera","camera":{"id":"a"}}')).toMatchObject({ camera: { streams: [] } });
});

test('a camera lists its sound, unless no browser plays it', () => {
  const soundOf = (sound: unknown): unknown => {
    const event = parseEvent(JSON.stringify({ type: 'camera', camera: { id: 'a', sound } }));
    return event?.type === 'camera' ? event.camera.sound : 'no camera';
  };
  const aac = { codec: 'aac', type: 'mp4a.40.2', rate: 48000, channels: 2, config: '1190' };
  expect(soundOf({ ...aac, later: 1 })).toEqual(aac);
  const alaw = { codec: 'pcma', type: 'alaw', rate: 8000, channels: 1 };
  expect(soundOf(alaw)).toEqual(alaw);
  const unplayable: unknown[] = [
    undefined,
    null,
    'aac',
    {},
    { ...aac, codec: 'g726' },
    { ...aac, rate: 0 },
    { ...aac, rate: 1e9 },
    { ...aac, rate: '48000' },
    { ...aac, channels: 0 },
    { ...aac, channels: 1.5 },
    { ...aac, channels: 99 },
  ];
  for (const sound of unplayable) expect(soundOf(sound), JSON.stringify(sound)).toBeUndefined();
});

test('a viewer is lagging only if the hub says so', () => {
  const cameras = { a: { sent: 1, dropped: 2, viewers: 3, lagging: true }, b: { sent: 1, lagging: 'no' } };
  const event = parseEvent(JSON.stringify({ type: 'stats', time: 1, cameras }));
  if (event?.type !== 'stats') throw new Error('no stats');
  expect(event.cameras.get('a')).toEqual({ sent: 1, dropped: 2, viewers: 3, lagging: true });
  expect(event.cameras.get('b')?.lagging).toBe(false);
});
