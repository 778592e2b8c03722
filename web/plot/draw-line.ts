// Draws the line of one series. For each pixel column it uses only the first, lowest, highest and last sample: the
// result looks the same, and the cost of a million samples is limited by the number of columns.
import type { Samples } from './samples.ts';

/** The mapping from values to canvas positions: `offset + scale * value`. On a log scale, y is its logarithm. */
export interface Mapping {
  readonly xOffset: number;
  readonly xScale: number;
  readonly yOffset: number;
  readonly yScale: number;
  /** A log scale cannot show values of 0 or less. */
  readonly log: boolean;
}

export interface Path {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
}

/** Returns the offset and the scale of an axis, calculated from the positions of two values. */
export function linearMapping(value: number, at: number, other: number, otherAt: number): [number, number] {
  const scale = other === value ? 0 : (otherAt - at) / (other - value);
  return [at - scale * value, scale];
}

/** Returns the range of samples to draw: those in the x range, and one beyond on either side. */
export function visible(samples: Samples, min: number, max: number): [number, number] {
  const first = Math.max(0, samples.lowerBound(min) - 1);
  let last = samples.lowerBound(max);
  while (last < samples.length && samples.x(last) <= max) last++;
  return [first, Math.min(samples.length, last + 1)];
}

/** Draws samples sorted by x. Returns the number of points drawn. */
export function drawByColumns(
  samples: Samples,
  from: number,
  to: number,
  mapping: Mapping,
  path: Path,
): number {
  const { xs, ys } = samples.columns();
  const { xOffset, xScale, yOffset, yScale, log } = mapping;
  let points = 0;
  let started = false;
  let column = NaN;
  let first = 0;
  let low = 0;
  let high = 0;
  let last = 0;
  const addPoint = (y: number): void => {
    if (started) path.lineTo(column, y);
    else path.moveTo(column, y);
    started = true;
    points++;
  };
  const finish = (): void => {
    if (Number.isNaN(column)) return;
    addPoint(first);
    if (low !== first) addPoint(low);
    if (high !== low) addPoint(high);
    if (last !== high) addPoint(last);
    column = NaN;
  };
  for (let index = from; index < to; index++) {
    let value = ys[index] ?? NaN;
    if (log) {
      if (!(value > 0)) {
        finish();
        started = false;
        continue;
      }
      value = Math.log10(value);
    }
    const x = Math.round(xOffset + xScale * (xs[index] ?? NaN));
    const y = yOffset + yScale * value;
    if (x !== column) {
      finish();
      column = x;
      first = low = high = last = y;
    } else {
      if (y < low) low = y;
      if (y > high) high = y;
      last = y;
    }
  }
  finish();
  return points;
}

/** Draws samples in order of arrival. Returns the number of points drawn. */
export function drawInOrder(samples: Samples, mapping: Mapping, path: Path): number {
  const { xs, ys } = samples.columns();
  let started = false;
  let points = 0;
  for (let index = 0; index < xs.length; index++) {
    const value = ys[index] ?? NaN;
    if (mapping.log && !(value > 0)) {
      started = false;
      continue;
    }
    const x = mapping.xOffset + mapping.xScale * (xs[index] ?? NaN);
    const y = mapping.yOffset + mapping.yScale * (mapping.log ? Math.log10(value) : value);
    if (started) path.lineTo(x, y);
    else path.moveTo(x, y);
    started = true;
    points++;
  }
  return points;
}
