import { describe, expect, it, vi } from 'vitest';
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

  it('of a batch in any order are merged into their places, equal times in order of arrival', () => {
    const random = (seed: number) => (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const next = random(7);
    const samples = new Samples(true);
    const expected: [number, number][] = [];
    for (let batch = 0; batch < 40; batch++) {
      const points = Array.from(
        { length: Math.floor(next() * 60) },
        (_, index) => [Math.floor(next() * 50), batch * 100 + index] as [number, number],
      );
      samples.add(points);
      expected.push(...points);
    }
    expected.sort(([a], [b]) => a - b);
    const { xs, ys } = samples.columns();
    expect(Array.from(xs, (x, index) => [x, ys[index]])).toEqual(expected);
  });

  it('that arrive newest first cost a merge per batch, not an insertion per sample', () => {
    const samples = new Samples(true);
    const copies = vi.spyOn(Float64Array.prototype, 'copyWithin');
    for (let batch = 0; batch < 30; batch++)
      samples.add(Array.from({ length: 5000 }, (_, index) => [-(batch * 5000 + index), index] as const));
    expect(samples.length).toBe(150_000);
    expect(samples.x(0)).toBe(-149_999);
    expect(samples.x(149_999)).toBe(-0);
    expect(copies.mock.calls.length).toBeLessThan(100);
    copies.mockRestore();
  });

  const fill = (samples: Samples, total: number, y: (x: number) => number): void => {
    for (let next = 0; next < total; next += 1000)
      samples.add(
        Array.from({ length: Math.min(1000, total - next) }, (_, i) => [next + i, y(next + i)] as const),
      );
  };

  it.each([true, false])(
    'beyond the limit are thinned, and their extremes survive (sorted: %s)',
    (sorted) => {
      const samples = new Samples(sorted);
      const total = 5 * MAX_SAMPLES;
      fill(samples, total, (x) => (x === 12_345 ? 1000 : x === 54_321 ? -1000 : x % 7));
      expect(samples.length).toBeLessThanOrEqual(MAX_SAMPLES);
      expect(samples.length).toBeGreaterThanOrEqual(MAX_SAMPLES * 0.7);
      const { xs, ys } = samples.columns();
      expect(xs.every((x, index) => index === 0 || x > (xs[index - 1] ?? 0))).toBe(true);
      // The whole time is still there, and its extremes are at their times.
      expect(samples.x(0)).toBeLessThan(10_000);
      expect(xs[ys.indexOf(1000)]).toBe(12_345);
      expect(xs[ys.indexOf(-1000)]).toBe(54_321);
      // The newest samples are complete, and the thinned part is known.
      const newest = MAX_SAMPLES / 4;
      expect(samples.x(samples.length - newest)).toBe(total - newest);
      expect(samples.thinned).toBeGreaterThan(0);
      expect(samples.x(samples.thinned + 1) - samples.x(samples.thinned)).toBe(1);
      expect(samples.x(samples.thinned - 10) - samples.x(samples.thinned - 20)).toBeGreaterThan(10);
      // Older samples are coarser, but not much coarser than necessary.
      const widest = xs.reduce((wide, x, index) => Math.max(wide, x - (xs[index - 1] ?? x)), 0);
      expect(widest).toBeLessThan(200);
    },
  );

  it('that are late may fall between thinned ones', () => {
    const samples = new Samples(true);
    fill(samples, 2 * MAX_SAMPLES, (x) => x % 7);
    const { thinned, length } = samples;
    samples.add([
      [MAX_SAMPLES * 2 - 0.5, 1],
      [0.5, 2],
      [5000.5, 3],
    ]);
    expect(samples.length).toBe(length + 3);
    expect(samples.thinned).toBe(thinned + 2);
    expect([0.5, 5000.5, MAX_SAMPLES * 2 - 0.5].map((x) => samples.y(samples.lowerBound(x)))).toEqual([
      2, 3, 1,
    ]);
    fill(samples, MAX_SAMPLES, (x) => x % 5);
    expect(samples.length).toBeLessThanOrEqual(MAX_SAMPLES);
    const { xs } = samples.columns();
    expect(xs.every((x, index) => index === 0 || x >= (xs[index - 1] ?? 0))).toBe(true);
  });

  it('up to the limit are complete', () => {
    const samples = new Samples(true);
    fill(samples, MAX_SAMPLES, (x) => x);
    expect(samples.length).toBe(MAX_SAMPLES);
    expect(samples.thinned).toBe(0);
  });
});
