import { expect, test } from 'vitest';
import { decodeG711 } from './sound-g711.ts';

/** The 16-bit samples of these bytes. */
const samples = (codec: 'pcma' | 'pcmu', ...bytes: number[]): number[] =>
  [...(decodeG711(codec, Uint8Array.from(bytes), 1)[0] ?? [])].map((value) => value * 32_768);

/**
 * The decision values and reconstruction levels of ITU-T G.711, tables 1 and 2, columns 6 to 8: the byte as it is
 * transmitted, and the value at the decoder's output. A-law values have 13 bits, µ-law values 14.
 */
const A_LAW_13_BITS = [
  [0xd5, 1],
  [0xd4, 3],
  [0xc5, 33],
  [0xf5, 66],
  [0xe5, 132],
  [0x95, 264],
  [0x85, 528],
  [0xb5, 1056],
  [0xa5, 2112],
  [0xaa, 4032],
] as const;
const MU_LAW_14_BITS = [
  [0xff, 0],
  [0xfe, 2],
  [0xef, 33],
  [0xdf, 99],
  [0xcf, 231],
  [0xbf, 495],
  [0xaf, 1023],
  [0x9f, 2079],
  [0x8f, 4191],
  [0x80, 8031],
] as const;

test.each(A_LAW_13_BITS)('A-law byte %i is %i of 4096, and negative without its first bit', (byte, value) => {
  expect(samples('pcma', byte, byte ^ 0x80)).toEqual([value * 8, -value * 8]);
});

test.each(MU_LAW_14_BITS)(
  'µ-law byte %i is %i of 8192, and negative without its first bit',
  (byte, value) => {
    const [positive = NaN, negative = NaN] = samples('pcmu', byte, byte ^ 0x80);
    expect(positive).toBe(value * 4);
    expect(negative + 0).toBe(-value * 4 + 0);
  },
);

test('A tone of 1 kHz at 0 dBm0 is symmetric (ITU-T G.711, tables 5 and 6)', () => {
  const aLaw = samples('pcma', 0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4);
  const muLaw = samples('pcmu', 0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e);
  for (const tone of [aLaw, muLaw]) {
    expect(tone.slice(0, 4)).toEqual(tone.slice(4).map((value) => -value));
    // The level of the tone is 3.14 dB (A-law) or 3.17 dB (µ-law) below full scale.
    const power = tone.reduce((sum, value) => sum + value ** 2, 0) / tone.length;
    expect(10 * Math.log10(power / (32_768 ** 2 / 2))).toBeCloseTo(-3.15, 0);
  }
});

test('the samples of two channels alternate', () => {
  const [left, right] = decodeG711('pcma', Uint8Array.of(0xd5, 0x55, 0xaa, 0x2a), 2);
  expect([...(left ?? [])].map((value) => value * 32_768)).toEqual([8, 32_256]);
  expect([...(right ?? [])].map((value) => value * 32_768)).toEqual([-8, -32_256]);
  // A sample without its pair is left out.
  expect(decodeG711('pcma', Uint8Array.of(0xd5, 0x55, 0xaa), 2)[0]).toHaveLength(1);
});
