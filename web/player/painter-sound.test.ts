// The sound of one camera, from the hub through the painter to the page.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { StreamInfo } from '../client/events.ts';
import { PainterRig } from './painter-rig.ts';

let rig: PainterRig;
beforeEach(() => (rig = new PainterRig()));
afterEach(() => vi.unstubAllGlobals());

const H264: StreamInfo[] = [{ name: 'main', codec: 'h264', type: 'avc1.64001f', width: 1280, height: 720 }];
const CODECS = ['h264', 'h265', 'jpeg'];

test('sound is subscribed with the pictures of one camera', async () => {
  await rig.start({ a: H264, b: H264 });
  rig.watch('a', 'b');
  rig.receive({ kind: 'listen', camera: 'a' });
  expect(rig.platform.socket.commands('subscribe').at(-1)).toMatchObject({ cameras: ['a'], sound: true });
  rig.receive({ kind: 'listen', camera: 'b' });
  expect(
    rig.platform.socket
      .commands('subscribe')
      .slice(-2)
      .map(({ cameras, sound = false }) => [cameras, sound]),
  ).toEqual([
    [['a'], false],
    [['b'], true],
  ]);
  expect(rig.platform.socket.commands('unsubscribe')).toEqual([]);
});

test('units go to the page, and the picture goes on', async () => {
  await rig.start({ a: H264 });
  rig.addSurface(640, 'a');
  rig.watch('a');
  rig.play(2);
  rig.receive({ kind: 'listen', camera: 'a' });
  rig.platform.socket.frame({ camera: 'a', kind: 4, codec: 18, flags: 2, sequence: 7, payload: [0xd5] });
  rig.delta(3);
  rig.paint();
  expect(rig.sounds).toMatchObject([{ camera: 'a', codec: 18, sequence: 7 }]);
  expect(rig.drawn.at(-1)).toBe(3);
  expect(rig.video.decoders).toHaveLength(1);
});

test('sound goes on while the page is hidden, of the same stream and without pictures', async () => {
  await rig.start({ a: H264 });
  rig.addSurface(1280, 'a');
  rig.watch('a');
  rig.receive({ kind: 'listen', camera: 'a' });
  const { stream } = rig.platform.socket.commands('subscribe').at(-1) ?? {};
  rig.watch();
  expect(rig.platform.socket.commands('subscribe').at(-1)).toEqual({
    cmd: 'subscribe',
    cameras: ['a'],
    credit: 0,
    stream,
    codecs: CODECS,
    sound: true,
  });
  expect(rig.platform.socket.commands('unsubscribe')).toEqual([]);
  expect(rig.video.open).toEqual([]);
  rig.watch('a');
  expect(rig.platform.socket.commands('subscribe').at(-1)).toMatchObject({ credit: 8, sound: true });
  rig.play(2, 2);
  rig.paint();
  expect(rig.drawn.at(-1)).toBe(2);
  rig.watch();
  rig.receive({ kind: 'listen', camera: undefined });
  expect(rig.platform.socket.commands('unsubscribe')).toEqual([{ cmd: 'unsubscribe', cameras: ['a'] }]);
});

test('a camera that is played elsewhere, such as MPEG-1, has sound without pictures', async () => {
  await rig.start({ a: H264 });
  rig.receive({ kind: 'listen', camera: 'a' });
  expect(rig.platform.socket.commands('subscribe')).toMatchObject([
    { cameras: ['a'], credit: 0, codecs: CODECS, sound: true },
  ]);
});

test('sound is subscribed again after a reconnection', async () => {
  await rig.start({ a: H264 });
  rig.watch('a');
  rig.receive({ kind: 'listen', camera: 'a' });
  rig.platform.socket.end();
  rig.platform.advance(1_000);
  rig.hello({ a: H264 });
  expect(rig.platform.socket.commands('subscribe')).toMatchObject([{ cameras: ['a'], sound: true }]);
});
