import { expect, test } from 'vitest';
import { chooseCodec, codecLabel, nextCodec, choiceReason, parseCodec } from './codec-choice.ts';
import type { NotNative, Picture, PictureCodec } from './messages.ts';

const picture = (codec: PictureCodec, notNative?: NotNative): Picture => ({
  camera: 'door',
  painted: 1,
  fps: 15,
  interval: 67,
  captureTime: 1,
  paintedAge: 20,
  width: 640,
  height: 360,
  codec,
  ...(notNative && { notNative }),
});
const fast = { slow: undefined, sockets: true };
const slow = { slow: 'network', sockets: true } as const;

test('an explicit codec takes precedence over network conditions', () => {
  expect(chooseCodec('auto', fast)).toBe('native');
  expect(chooseCodec('auto', slow)).toBe('mpeg1');
  expect(chooseCodec('native', slow)).toBe('native');
  expect(chooseCodec('jpeg', slow)).toBe('jpeg');
  expect(chooseCodec('mpeg1', fast)).toBe('mpeg1');
  expect(choiceReason('auto', slow, undefined)).toBe('chosen to suit the network');
  expect(choiceReason('jpeg', slow, undefined)).toBe('set on this tile');
  expect(choiceReason('auto', { ...slow, slow: 'device' }, undefined)).toBe(
    'because this device decodes the video of the camera too slowly',
  );
  expect(parseCodec('native')).toBe('native');
  expect(parseCodec('mpeg1')).toBe('mpeg1');
  expect(parseCodec('h265')).toBe('auto');
  expect(parseCodec(null)).toBe('auto');
});

test('the button names the codec that is shown, and why it is not the video of the camera', () => {
  expect(codecLabel('native', undefined)).toBe('Video');
  expect(codecLabel('native', picture('h264'))).toBe('H.264');
  expect(codecLabel('native', picture('jpeg'))).toBe('JPEG');
  expect(codecLabel('mpeg1', undefined)).toBe('MPEG-1');
  expect(choiceReason('auto', fast, picture('h265'))).toBe('as the camera sends it');
  const reasons: readonly (readonly [NotNative, string])[] = [
    [{ cause: 'insecure' }, 'because this page is not served over https'],
    [{ cause: 'sends', codec: 'jpeg' }, 'because the camera sends JPEG'],
    [{ cause: 'sends', codec: 'vp8' }, 'because the camera sends neither H.264 nor H.265'],
    [{ cause: 'silent' }, 'because the video decoder did not respond'],
    [
      { cause: 'unsupported', codec: 'h265', type: 'hev1.1.6.L93.B0' },
      'because this browser cannot decode H.265 (hev1.1.6.L93.B0)',
    ],
    [{ cause: 'unsupported', codec: 'h265', type: undefined }, 'because this browser cannot decode H.265'],
  ];
  for (const [reason, text] of reasons) {
    expect(choiceReason('auto', fast, picture('jpeg', reason))).toBe(text);
    expect(choiceReason('native', fast, picture('jpeg', reason))).toBe(text);
  }
});

test('without WebSockets the codec is JPEG, with the reason', () => {
  const network = { ...slow, sockets: false };
  expect(chooseCodec('auto', network)).toBe('jpeg');
  expect(chooseCodec('mpeg1', network)).toBe('jpeg');
  expect(choiceReason('mpeg1', network, undefined)).toBe('because WebSockets are blocked');
});

test('clicks select the next codec below the shown one, and then automatic again', () => {
  expect(nextCodec('auto', 'native')).toBe('jpeg');
  expect(nextCodec('auto', 'jpeg'), 'no native video').toBe('mpeg1');
  expect(nextCodec('jpeg', 'jpeg')).toBe('mpeg1');
  expect(nextCodec('mpeg1', 'mpeg1')).toBe('auto');
  expect(nextCodec('auto', 'mpeg1'), 'a slow network').toBe('native');
});
