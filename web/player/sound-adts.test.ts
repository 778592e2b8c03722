import { expect, test } from 'vitest';
import { aacConfig, adtsFile, bytesOfHex, parseAacConfig, rateOf } from './sound-adts.ts';

test('an AudioSpecificConfig of AAC LC', () => {
  const format = parseAacConfig(bytesOfHex('1190'));
  expect(format).toEqual({ objectType: 2, rateIndex: 3, channels: 2 });
  expect(format && rateOf(format)).toBe(48_000);
  expect([...aacConfig(48_000, 2)]).toEqual([0x11, 0x90]);
  expect([...aacConfig(16_000, 1)]).toEqual([0x14, 0x08]);
  expect(parseAacConfig(aacConfig(16_000, 1))).toEqual({ objectType: 2, rateIndex: 8, channels: 1 });
});

test('of one with SBR, the core counts', () => {
  // HE-AAC, 24 kHz extended to 48 kHz, one channel.
  expect(parseAacConfig(bytesOfHex('2b098800'))).toEqual({ objectType: 2, rateIndex: 6, channels: 1 });
});

test('what ADTS cannot express', () => {
  // An explicit rate, an object type above 4, a program config, and nothing at all.
  for (const hex of ['178000', 'b98c', '1180', ''])
    expect(parseAacConfig(bytesOfHex(hex)), hex).toBeUndefined();
});

test('the header has the size of each unit', () => {
  const file = adtsFile({ objectType: 2, rateIndex: 3, channels: 2 }, [
    new Uint8Array(400).fill(7),
    Uint8Array.of(8),
  ]);
  // As ffmpeg writes it for AAC LC, 48 kHz, stereo, 407 bytes with the header.
  expect([...file.subarray(0, 7)]).toEqual([0xff, 0xf1, 0x4c, 0x80, 0x32, 0xff, 0xfc]);
  expect(file.length).toBe(407 + 8);
  expect([...file.subarray(407)]).toEqual([0xff, 0xf1, 0x4c, 0x80, 0x01, 0x1f, 0xfc, 8]);
});
