// Draws the line of one series. For each pixel column it uses only the first, lowest, highest and last sample: the
// result looks the same, and the cost of a million samples is limited by the number of columns.
import type { Samples } from './samples.ts';

/**
 * The mapping from values to canvas positions along one axis, for any finite values: the width of a range may exceed the
 * largest number, so values are multiplied by `factor` first.
 */
export interface AxisMapping {
  readonly factor: number;
  readonly start: number;
  readonly width: number;
  readonly offset: number;
  readonly length: number;
  /** Whether `start` and `width` are logarithms. A log scale cannot show values of 0 or less. */
  readonly log: boolean;
}

export interface Mapping {
  readonly x: AxisMapping;
  readonly y: AxisMapping;
}

export interface Path {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
}

/** Returns the mapping from `min` to `max` to the positions from `at` to `end`. */
export function axisMapping(min: number, max: number, at: number, end: number, log = false): AxisMapping {
  const [low, high] = log ? [Math.log10(min), Math.log10(max)] : [min, max];
  const factor = high - low === Infinity ? 0.5 : 1;
  const start = low * factor;
  const width = high * factor - start;
  // A range without width is drawn at its start.
  return { factor, start, width: width || 1, offset: at, length: width === 0 ? 0 : end - at, log };
}

/** Returns the position of a value. On a log scale, the value must be greater than 0. */
export function position({ factor, start, width, offset, length, log }: AxisMapping, value: number): number {
  return offset + length * (((log ? Math.log10(value) : value) * factor - start) / width);
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
  const { x: across, y: up } = mapping;
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
    const value = ys[index] ?? NaN;
    if (up.log && !(value > 0)) {
      finish();
      started = false;
      continue;
    }
    const x = Math.round(position(across, xs[index] ?? NaN));
    const y = position(up, value);
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

/**
 * Draws samples in order of arrival, without those that are less than half a pixel from the last drawn one. Returns the
 * number of points drawn.
 */
export function drawInOrder(samples: Samples, mapping: Mapping, path: Path): number {
  const { xs, ys } = samples.columns();
  let started = false;
  let points = 0;
  let [lastX, lastY] = [NaN, NaN];
  for (let index = 0; index < xs.length; index++) {
    const value = ys[index] ?? NaN;
    if (mapping.y.log && !(value > 0)) {
      started = false;
      continue;
    }
    const x = position(mapping.x, xs[index] ?? NaN);
    const y = position(mapping.y, value);
    if (started && Math.abs(x - lastX) < 0.5 && Math.abs(y - lastY) < 0.5) continue;
    if (started) path.lineTo(x, y);
    else path.moveTo(x, y);
    started = true;
    [lastX, lastY] = [x, y];
    points++;
  }
  return points;
}
