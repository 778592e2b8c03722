import { describe, expect, test } from 'vitest';
import type { Camera, CameraState } from '../client/events.ts';
import type { Lowered, Picture } from './messages.ts';
import { tileStatus, type Observed } from './tile-status.ts';

const camera = (state: CameraState, reason?: string): Camera => ({
  id: 'door',
  name: 'Front door',
  state,
  codecs: ['jpeg'],
  streams: [],
  ...(reason !== undefined && { reason }),
});

const picture: Picture = {
  camera: 'door',
  painted: 9,
  fps: 8,
  interval: 125,
  captureTime: 1,
  paintedAge: 20,
  width: 320,
  height: 240,
  codec: 'h264',
};

const observed = (part: Partial<Observed>): Observed => ({
  camera: camera('live'),
  link: 'open',
  picture,
  age: 45,
  frozen: false,
  stopped: false,
  lagging: false,
  fallback: undefined,
  fallbackHasPicture: true,
  ...part,
});

const blank = { picture: undefined, age: undefined };

describe('tileStatus', () => {
  test('a live camera shows its rate and the age of the picture', () => {
    expect(tileStatus(observed({}))).toMatchObject({
      tone: 'live',
      rate: '8 fps',
      age: '45 ms',
      headline: '',
    });
  });

  test('the codec and the size are shown, and why it is not the video of the camera', () => {
    expect(tileStatus(observed({}))).toMatchObject({ codec: 'H.264', size: '320×240', codecReason: '' });
    const jpeg: Picture = { ...picture, codec: 'jpeg', notNative: { cause: 'insecure' } };
    expect(tileStatus(observed({ picture: jpeg }))).toMatchObject({
      codec: 'JPEG',
      codecReason: 'because this page is not served over https',
    });
    expect(tileStatus(observed(blank))).toMatchObject({ codec: '', size: '', codecReason: '' });
  });

  test('a viewer that is too slow for the video is told so', () => {
    expect(tileStatus(observed({ lagging: true }))).toMatchObject({ label: 'Slow network', headline: '' });
  });

  test('a device that decodes too slowly is not called a slow network', () => {
    const slow = observed({ lagging: true, picture: { ...picture, isDecoderSlow: true } });
    expect(tileStatus(slow)).toMatchObject({ tone: 'stalled', label: 'Slow device', headline: '' });
    expect(tileStatus({ ...slow, lagging: false })).toMatchObject({ label: 'Live' });
  });

  test('a media element that leaves out pictures is a slow device', () => {
    const skipping = observed({ picture: { ...picture, isDecoderSlow: true, isSkipping: true } });
    expect(tileStatus(skipping)).toMatchObject({ tone: 'stalled', label: 'Slow device' });
  });

  test('what is shown instead of the full video is named, with the cause', () => {
    const label = (step: Lowered['step'], cause: Lowered['cause'], part: Partial<Observed> = {}): string =>
      tileStatus(observed({ lowered: { step, cause }, ...part })).label;
    expect(label('sub', 'network')).toBe('Slow network: smaller picture');
    expect(label('keys', 'network')).toBe('Slow network: key frames only');
    expect(label('mpeg1', 'network')).toBe('Slow network: simpler video');
    expect(label('keys', 'device')).toBe('Slow device: key frames only');
    expect(label('sub', 'decoder')).toBe('Decoder failed: smaller picture');
    expect(label('jpeg', 'decoder')).toBe('Decoder failed: fewer pictures');
    expect(label('software', 'decoder'), 'no difference').toBe('Live');
    expect(label('sub', 'network', { lagging: true })).toBe('Slow network: smaller picture');
    expect(label('keys', 'network', { age: 4_000 })).toBe('Slow network: key frames only');
    expect(tileStatus(observed({ lowered: { step: 'sub', cause: 'network' } })).tone).toBe('reduced');
  });

  test('an old picture of a viewer that is too slow is stale, with the cause', () => {
    const late = observed({ lagging: true, age: 4_000 });
    expect(tileStatus(late)).toMatchObject({ tone: 'stale', label: 'Slow network', stale: true });
    expect(tileStatus({ ...late, link: 'reconnecting' })).toMatchObject({ label: 'No connection' });
  });

  test('an old picture is stale and labelled as such', () => {
    expect(tileStatus(observed({ age: 4_000 }))).toMatchObject({
      tone: 'stale',
      label: 'Stale',
      stale: true,
    });
    expect(tileStatus(observed({ age: 4_000, picture: { ...picture, interval: 1_000 } }))).toMatchObject({
      tone: 'live',
    });
  });

  test('an old picture without a connection is labelled "No connection"', () => {
    expect(tileStatus(observed({ age: 4_000, link: 'reconnecting' }))).toMatchObject({
      label: 'No connection',
    });
  });

  test('a failed camera shows its reason and a retry button, even while it shows a picture', () => {
    const status = tileStatus(observed({ camera: camera('failed', '401: wrong user or password') }));
    expect(status).toMatchObject({ tone: 'failed', reason: '401: wrong user or password.', canRetry: true });
  });

  test('starting, waiting, stalled and live are distinct', () => {
    const starting = observed({ camera: camera('starting'), ...blank });
    expect(tileStatus(starting)).toMatchObject({ tone: 'waiting', label: 'Starting' });
    const idle = observed({ camera: camera('idle'), ...blank });
    expect(tileStatus(idle)).toMatchObject({ tone: 'waiting', label: 'Waiting' });
    expect(tileStatus(observed({ camera: camera('stalled') }))).toMatchObject({
      tone: 'stalled',
      headline: 'Stalled',
    });
    expect(tileStatus(observed({ camera: camera('live') }))).toMatchObject({ tone: 'live' });
  });

  test('frozen takes precedence, and the age continues to count', () => {
    const status = tileStatus(observed({ frozen: true, age: 61_000, camera: camera('stalled') }));
    expect(status).toMatchObject({ tone: 'frozen', label: 'Frozen', age: '1 min', rate: '' });
  });

  test('a frozen picture is never stale, with or without the socket', () => {
    expect(tileStatus(observed({ age: 61_000 })).stale).toBe(true);
    expect(tileStatus(observed({ age: 61_000, frozen: true })).stale).toBe(false);
    const without = { link: 'fallback', picture: undefined, fallback: 'snapshot' } as const;
    expect(tileStatus(observed({ ...without, age: 61_000, frozen: true }))).toMatchObject({
      tone: 'frozen',
      age: '1 min',
      stale: false,
    });
  });

  test('stopped, unknown and connecting cameras have a headline', () => {
    expect(tileStatus(observed({ stopped: true, ...blank }))).toMatchObject({
      tone: 'stopped',
      headline: 'Stopped',
    });
    expect(tileStatus(observed({ camera: undefined, ...blank }))).toMatchObject({
      tone: 'failed',
      canRetry: false,
    });
    expect(tileStatus(observed({ camera: undefined, link: 'connecting', ...blank }))).toMatchObject({
      headline: 'Connecting',
    });
  });

  test('the fallback is labelled with its mode', () => {
    const part = { link: 'fallback', picture: undefined } as const;
    expect(tileStatus(observed({ ...part, age: undefined, fallback: 'mjpeg' }))).toMatchObject({
      label: 'MJPEG',
    });
    expect(tileStatus(observed({ ...part, age: 300, fallback: 'snapshot' }))).toMatchObject({
      age: '300 ms',
    });
    expect(tileStatus(observed({ ...part, age: 5_000, fallback: 'snapshot' }))).toMatchObject({
      tone: 'stale',
    });
    for (const fallback of ['mjpeg', 'snapshot'] as const) {
      const nothing = observed({ ...part, age: undefined, fallback, fallbackHasPicture: false });
      expect(tileStatus(nothing)).toMatchObject({ tone: 'waiting' });
    }
  });
});
