import { describe, expect, it } from 'vitest';
import { axisMapping, drawByColumns, drawInOrder, position, visible, type Path } from './draw-line.ts';
import { Samples } from './samples.ts';

class RecordedPath implements Path {
  readonly points: [number, number][] = [];
  breaks = 0;
  moveTo(x: number, y: number): void {
    this.breaks++;
    this.points.push([x, y]);
  }
  lineTo(x: number, y: number): void {
    this.points.push([x, y]);
  }
}

const mapping = (xScale: number, log = false) => ({
  x: axisMapping(0, 1, 0, xScale),
  y: log ? axisMapping(1, 10, 0, 1, true) : axisMapping(0, 1, 0, 1),
});

function series(ys: readonly number[]): Samples {
  const samples = new Samples(true);
  samples.add(ys.map((y, x) => [x, y] as const));
  return samples;
}

describe('a line', () => {
  it('of many samples has a few points per pixel column, including every extreme', () => {
    const ys = Array.from({ length: 100_000 }, (_, index) => (index === 54_321 ? 1000 : index % 7));
    const samples = series(ys);
    const path = new RecordedPath();
    const points = drawByColumns(samples, 0, samples.length, mapping(500 / 100_000), path);
    expect(points).toBe(path.points.length);
    expect(points).toBeLessThanOrEqual(4 * 501);
    expect(Math.max(...path.points.map(([, y]) => y))).toBe(1000);
    expect(path.breaks).toBe(1);
  });

  it('of few samples has every sample', () => {
    const path = new RecordedPath();
    drawByColumns(series([1, 5, 2]), 0, 3, mapping(10), path);
    expect(path.points).toEqual([
      [0, 1],
      [10, 5],
      [20, 2],
    ]);
  });

  it('is interrupted at values that a log scale cannot show', () => {
    const shown = mapping(10, true);
    for (const draw of [
      (path: RecordedPath) => drawByColumns(series([1, 0, 10, 100]), 0, 4, shown, path),
      (path: RecordedPath) => drawInOrder(series([1, 0, 10, 100]), shown, path),
    ]) {
      const path = new RecordedPath();
      draw(path);
      expect(path.breaks).toBe(2);
      expect(path.points).toEqual([
        [0, 0],
        [20, 1],
        [30, 2],
      ]);
    }
  });

  it('is mapped to the axes, whatever their magnitude', () => {
    const { MAX_VALUE, MIN_VALUE } = Number;
    for (const [min, middle, max] of [
      [100, 150, 200],
      [-MAX_VALUE, 0, MAX_VALUE],
      [1e300, 1.5e300, 2e300],
      [1e-300, 2e-300, 3e-300],
      [MIN_VALUE, 3 * MIN_VALUE, 5 * MIN_VALUE],
      [1.7e12, 1.7e12 + 0.5, 1.7e12 + 1],
    ] as const)
      expect([min, middle, max].map((value) => position(axisMapping(min, max, 10, 60), value))).toEqual([
        10, 35, 60,
      ]);
    const log = axisMapping(1e-300, 1e300, 0, 600, true);
    expect([1e-300, 1, 1e300].map((value) => Math.round(position(log, value)))).toEqual([0, 300, 600]);
    expect(position(axisMapping(5, 5, 7, 9), 5)).toBe(7);
  });

  it('of an X-Y series has one point per half pixel', () => {
    const samples = new Samples(false);
    samples.add(
      Array.from({ length: 100_000 }, (_, index) => [Math.cos(index / 1e4), Math.sin(index / 1e4)]),
    );
    const path = new RecordedPath();
    drawInOrder(samples, { x: axisMapping(-1, 1, 0, 100), y: axisMapping(-1, 1, 0, 100) }, path);
    expect(path.points.length).toBeLessThan(2 * 2 * Math.PI * 10 * 50);
    expect(Math.max(...path.points.map(([x]) => x))).toBeGreaterThan(99.4);
    expect(Math.min(...path.points.map(([, y]) => y))).toBeLessThan(0.6);
  });

  it('starts and ends one sample beyond the shown range', () => {
    const samples = series([0, 1, 2, 3, 4, 5, 6]);
    expect(visible(samples, 2, 4)).toEqual([1, 6]);
    expect(visible(samples, -9, 99)).toEqual([0, 7]);
    expect(visible(samples, 2.5, 2.6)).toEqual([2, 4]);
  });
});
