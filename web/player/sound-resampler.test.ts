import { expect, test } from 'vitest';
import { SoundResampler } from './sound-resampler.ts';

const RATE = 8_000;
const tone = (from: number, count: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: count }, (_, at) => Math.sin((2 * Math.PI * 440 * (from + at)) / RATE));

test('at rate 1 every sample comes out unchanged', () => {
  const resampler = new SoundResampler();
  const out = [0, 160, 320].flatMap((from) => [...(resampler.process([tone(from, 160)], 1)[0] ?? [])]);
  expect(out).toEqual([...tone(0, 480)].slice(0, out.length));
  expect(out.length).toBeGreaterThanOrEqual(477);
});

test.each([0.98, 0.99, 1.01, 1.02])('at rate %d the tone has no step between pieces', (rate) => {
  const resampler = new SoundResampler();
  const out = [0, 160, 320, 480].flatMap((from) => [
    ...(resampler.process([tone(from, 160)], rate)[0] ?? []),
  ]);
  expect(out.length).toBeCloseTo(640 / rate, -1);
  const expected = out.map((_, at) => Math.sin((2 * Math.PI * 440 * at * rate) / RATE));
  const error = Math.max(...out.slice(2).map((value, at) => Math.abs(value - (expected[at + 2] ?? 0))));
  expect(error).toBeLessThan(0.01);
});

test('the rate may change from piece to piece, and channels stay together', () => {
  const resampler = new SoundResampler();
  let last = 0;
  for (let piece = 0; piece < 50; piece++) {
    const samples = tone(piece * 160, 160);
    const [left = [], right = []] = resampler.process([samples, samples], piece % 2 === 0 ? 1.02 : 0.98);
    expect(left).toEqual(right);
    for (const value of left) {
      // The steepest step of this tone is 0.35.
      expect(Math.abs(value - last)).toBeLessThan(0.36);
      last = value;
    }
  }
});

test('after a reset nothing of the last piece comes out', () => {
  const resampler = new SoundResampler();
  resampler.process([new Float32Array(160).fill(1)], 1);
  resampler.reset();
  expect(Math.max(...(resampler.process([new Float32Array(160)], 1)[0] ?? []))).toBe(0);
});

test('pieces that are shorter than what is interpolated are collected', () => {
  const resampler = new SoundResampler();
  const out = Array.from({ length: 20 }, (_, at) => [
    ...(resampler.process([tone(at, 1)], 1)[0] ?? []),
  ]).flat();
  expect(out).toEqual([...tone(0, 20)].slice(0, out.length));
  expect(out.length).toBeGreaterThanOrEqual(17);
});
