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

export interface Lines {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
}

/** Returns offset and scale of an axis from the positions of two values. */
export function along(value: number, at: number, other: number, otherAt: number): [number, number] {
  const scale = other === value ? 0 : (otherAt - at) / (other - value);
  return [at - scale * value, scale];
}

/** Returns the range of samples to draw: those in the x range, and one beyond on either side. */
export function visible(samples: Samples, min: number, max: number): [number, number] {
  const first = Math.max(0, samples.from(min) - 1);
  let last = samples.from(max);
  while (last < samples.length && samples.x(last) <= max) last++;
  return [first, Math.min(samples.length, last + 1)];
}

/** Draws samples sorted by x. Returns the number of points drawn. */
export function drawByColumns(
  samples: Samples,
  from: number,
  to: number,
  place: Mapping,
  lines: Lines,
): number {
  const { xs, ys } = samples.columns();
  const { xOffset, xScale, yOffset, yScale, log } = place;
  let corners = 0;
  let begun = false;
  let column = NaN;
  let first = 0;
  let low = 0;
  let high = 0;
  let last = 0;
  const corner = (y: number): void => {
    if (begun) lines.lineTo(column, y);
    else lines.moveTo(column, y);
    begun = true;
    corners++;
  };
  const finish = (): void => {
    if (Number.isNaN(column)) return;
    corner(first);
    if (low !== first) corner(low);
    if (high !== low) corner(high);
    if (last !== high) corner(last);
    column = NaN;
  };
  for (let index = from; index < to; index++) {
    let value = ys[index] ?? NaN;
    if (log) {
      if (!(value > 0)) {
        finish();
        begun = false;
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
  return corners;
}

/** Draws samples in order of arrival. Returns the number of points drawn. */
export function drawInOrder(samples: Samples, place: Mapping, lines: Lines): number {
  const { xs, ys } = samples.columns();
  let begun = false;
  let corners = 0;
  for (let index = 0; index < xs.length; index++) {
    const value = ys[index] ?? NaN;
    if (place.log && !(value > 0)) {
      begun = false;
      continue;
    }
    const x = place.xOffset + place.xScale * (xs[index] ?? NaN);
    const y = place.yOffset + place.yScale * (place.log ? Math.log10(value) : value);
    if (begun) lines.lineTo(x, y);
    else lines.moveTo(x, y);
    begun = true;
    corners++;
  }
  return corners;
}
