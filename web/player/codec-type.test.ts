import { expect, test } from 'vitest';
import { CODEC_H264, CODEC_H265, CODEC_JPEG } from '../client/frame.ts';
import { codecType } from './codec-type.ts';
import { h264Delta, h264Key, h265Key } from './testing.ts';

const bytes = (unit: number[]): Uint8Array => new Uint8Array(unit);

test('H.264: profile, constraints and level', () => {
  expect(codecType(CODEC_H264, bytes(h264Key(1)))).toBe('avc1.64001f');
  expect(codecType(CODEC_H264, bytes(h264Key(1, [0x42, 0xc0, 0x0d])))).toBe('avc1.42c00d');
});

test('H.265: as ISO/IEC 14496-15 writes it, without the bytes that the encoder inserted', () => {
  expect(codecType(CODEC_H265, bytes(h265Key(1)))).toBe('hev1.1.6.L93.90');
});

test('a unit without a whole parameter set has no type', () => {
  for (const unit of [[], [0, 0, 1], [0, 0, 1, 0x67], [0, 0, 1, 0x67, 0x64], h264Delta(1)])
    expect(codecType(CODEC_H264, bytes(unit))).toBeUndefined();
  expect(codecType(CODEC_H265, bytes(h265Key(1).slice(0, 20)))).toBeUndefined();
  expect(codecType(CODEC_JPEG, bytes(h264Key(1)))).toBeUndefined();
  // Parameter sets are in front of the picture, so the bytes of the picture are not searched.
  expect(codecType(CODEC_H264, bytes([...h264Delta(1), ...h264Key(2)]))).toBeUndefined();
});
