import { describe, expect, it } from 'vitest';
import { along, drawByColumns, drawInOrder, visible, type Lines } from './draw-line.ts';
import { Samples } from './samples.ts';

class Pen implements Lines {
  readonly corners: [number, number][] = [];
  breaks = 0;
  moveTo(x: number, y: number): void {
    this.breaks++;
    this.corners.push([x, y]);
  }
  lineTo(x: number, y: number): void {
    this.corners.push([x, y]);
  }
}

const place = (xScale: number, log = false) => ({ xOffset: 0, xScale, yOffset: 0, yScale: 1, log });

function series(ys: readonly number[]): Samples {
  const samples = new Samples(true);
  samples.add(ys.map((y, x) => [x, y] as const));
  return samples;
}

describe('a line', () => {
  it('of many samples has a few points per pixel column, including every extreme', () => {
    const ys = Array.from({ length: 100_000 }, (_, index) => (index === 54_321 ? 1000 : index % 7));
    const samples = series(ys);
    const pen = new Pen();
    const corners = drawByColumns(samples, 0, samples.length, place(500 / 100_000), pen);
    expect(corners).toBe(pen.corners.length);
    expect(corners).toBeLessThanOrEqual(4 * 501);
    expect(Math.max(...pen.corners.map(([, y]) => y))).toBe(1000);
    expect(pen.breaks).toBe(1);
  });

  it('of few samples has every sample', () => {
    const pen = new Pen();
    drawByColumns(series([1, 5, 2]), 0, 3, place(10), pen);
    expect(pen.corners).toEqual([
      [0, 1],
      [10, 5],
      [20, 2],
    ]);
  });

  it('is interrupted at values that a log scale cannot show', () => {
    const shown = place(10, true);
    for (const draw of [
      (pen: Pen) => drawByColumns(series([1, 0, 10, 100]), 0, 4, shown, pen),
      (pen: Pen) => drawInOrder(series([1, 0, 10, 100]), shown, pen),
    ]) {
      const pen = new Pen();
      draw(pen);
      expect(pen.breaks).toBe(2);
      expect(pen.corners).toEqual([
        [0, 0],
        [20, 1],
        [30, 2],
      ]);
    }
  });

  it('is mapped to the axes', () => {
    const [offset, scale] = along(100, 10, 200, 60);
    expect([offset + scale * 100, offset + scale * 200]).toEqual([10, 60]);
    expect(along(5, 7, 5, 7)).toEqual([7, 0]);
  });

  it('starts and ends one sample beyond the shown range', () => {
    const samples = series([0, 1, 2, 3, 4, 5, 6]);
    expect(visible(samples, 2, 4)).toEqual([1, 6]);
    expect(visible(samples, -9, 99)).toEqual([0, 7]);
    expect(visible(samples, 2.5, 2.6)).toEqual([2, 4]);
  });
});
