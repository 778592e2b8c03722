import { describe, expect, it } from 'vitest';
import { linearTicks, logTicks } from './number-axis.ts';
import { yRange } from './window.ts';

describe('the ticks of a number axis', () => {
  it('are round, and their labels have as many digits as they need', () => {
    expect(linearTicks(0, 100, 5)).toEqual({
      values: [0, 20, 40, 60, 80, 100],
      labels: ['0', '20', '40', '60', '80', '100'],
    });
    expect(linearTicks(-0.3, 0.3, 4).labels).toEqual(['-0.2', '0', '0.2']);
    expect(linearTicks(21.02, 21.09, 4).labels).toEqual(['21.02', '21.04', '21.06', '21.08']);
    expect(linearTicks(999_000, 1_001_000, 2).labels).toEqual(['999000', '1000000', '1001000']);
  });

  it('are labelled in scientific notation if they are large or small', () => {
    expect(linearTicks(0, 1.3e300, 4).labels).toEqual(['0', '5e+299', '1.0e+300']);
    expect(linearTicks(-2e-300, 2e-300, 4).labels).toEqual(['-2e-300', '-1e-300', '0', '1e-300', '2e-300']);
    expect(linearTicks(1.7e12, 1.7e12 + 3, 3).labels).toEqual([
      '1.700000000000e+12',
      '1.700000000001e+12',
      '1.700000000002e+12',
      '1.700000000003e+12',
    ]);
  });

  it.each([
    [1e300, 1.1e300],
    [-1e300, 1e300],
    [1e-300, 3e-300],
    [-Number.MAX_VALUE, Number.MAX_VALUE],
    [Number.MAX_VALUE / 2, Number.MAX_VALUE],
    [Number.MIN_VALUE, 3 * Number.MIN_VALUE],
    [0, Number.MIN_VALUE],
    [1e300, 1e300],
    [1e16, 1e16],
    [0.1, 0.1],
    [-5e-324, 1e308],
    [1e15, 1e15 + 0.5],
  ])('exist for values from %d to %d, on each kind of scale', (low, high) => {
    const [min, max] = yRange(low, high, false);
    expect([Number.isFinite(min), Number.isFinite(max), max > min]).toEqual([true, true, true]);
    const { values, labels } = linearTicks(min, max, 6);
    expect(values.length).toBeGreaterThanOrEqual(1);
    expect(values.length).toBeLessThanOrEqual(8);
    expect(values.every((value) => value >= min && value <= max)).toBe(true);
    expect(new Set(labels).size).toBe(values.length);
    expect(labels.every((text) => Number.isFinite(Number(text)) && text.length <= 24)).toBe(true);

    const [bottom, top] = yRange(low, high, true);
    expect([bottom > 0, Number.isFinite(top), top > bottom]).toEqual([true, true, true]);
    const powers = logTicks(bottom, top, 6);
    expect(powers.values.length).toBeGreaterThanOrEqual(1);
    expect(powers.values.length).toBeLessThanOrEqual(8);
  });

  it('on a log scale are powers of ten, or their multiples if there is space', () => {
    expect(logTicks(1, 10_000, 6).labels).toEqual(['1', '10', '100', '1000', '10000']);
    expect(logTicks(1, 1e9, 5).labels).toEqual(['1', '100', '10000', '1000000', '1e+8'].map((l) => l));
    expect(logTicks(0.1, 10, 10).labels).toEqual(['0.1', '0.2', '0.5', '1', '2', '5', '10']);
    expect(logTicks(1e-300, 1e-298, 3).labels).toEqual(['1e-300', '1e-299', '1e-298']);
  });
});
