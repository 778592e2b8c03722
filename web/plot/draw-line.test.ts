import { describe, expect, it } from 'vitest';
import { linearMapping, drawByColumns, drawInOrder, visible, type Path } from './draw-line.ts';
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

const mapping = (xScale: number, log = false) => ({ xOffset: 0, xScale, yOffset: 0, yScale: 1, log });

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

  it('is mapped to the axes', () => {
    const [offset, scale] = linearMapping(100, 10, 200, 60);
    expect([offset + scale * 100, offset + scale * 200]).toEqual([10, 60]);
    expect(linearMapping(5, 7, 5, 7)).toEqual([7, 0]);
  });

  it('starts and ends one sample beyond the shown range', () => {
    const samples = series([0, 1, 2, 3, 4, 5, 6]);
    expect(visible(samples, 2, 4)).toEqual([1, 6]);
    expect(visible(samples, -9, 99)).toEqual([0, 7]);
    expect(visible(samples, 2.5, 2.6)).toEqual([2, 4]);
  });
});
