import { describe, expect, it } from 'vitest';
import { MAX_SAMPLES, Samples } from './samples.ts';

const samplesOf = (sorted: boolean, points: readonly (readonly [number, number])[]): Samples => {
  const samples = new Samples(sorted);
  samples.add(points);
  return samples;
};

describe('samples', () => {
  it('of a time series are sorted by time', () => {
    const samples = samplesOf(true, [
      [1, 10],
      [3, 30],
      [2, 20],
      [3, 31],
      [0, 0],
    ]);
    expect([...samples.columns().xs]).toEqual([0, 1, 2, 3, 3]);
    expect([...samples.columns().ys]).toEqual([0, 10, 20, 30, 31]);
  });

  it('of other series keep their order of arrival', () => {
    const samples = samplesOf(false, [
      [3, 1],
      [1, 2],
      [2, 3],
    ]);
    expect([...samples.columns().xs]).toEqual([3, 1, 2]);
    expect(samples.nearest(1.1)).toBe(1);
  });

  it('are found by the nearest x', () => {
    const samples = samplesOf(true, [
      [0, 0],
      [10, 1],
      [20, 2],
    ]);
    expect([-5, 4, 6, 15, 16, 99].map((x) => samples.nearest(x))).toEqual([0, 0, 1, 1, 2, 2]);
    expect(new Samples(true).nearest(1)).toBeUndefined();
  });

  it('drop only the oldest part when there are too many', () => {
    const samples = new Samples(true);
    const total = MAX_SAMPLES + 5;
    for (let next = 0; next < total; next += 1000)
      samples.add(
        Array.from({ length: Math.min(1000, total - next) }, (_, i) => [next + i, next + i] as const),
      );
    expect(samples.length).toBeLessThanOrEqual(MAX_SAMPLES);
    expect(samples.length).toBeGreaterThanOrEqual(MAX_SAMPLES * 0.7);
    expect(samples.x(samples.length - 1)).toBe(total - 1);
    const { xs } = samples.columns();
    expect(xs.every((x, index) => index === 0 || x === (xs[index - 1] ?? 0) + 1)).toBe(true);
  });
});
