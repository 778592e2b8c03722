// Draws one series' line. Of samples that fall on one column of pixels only the first, the least, the greatest and
// the last matter: the picture is the same, and a million samples cost no more than the columns.
import type { Samples } from './samples.ts';

/** Where values are on the canvas: `offset + scale * value`, of y's logarithm on a log scale. */
export interface Place {
  readonly xOffset: number;
  readonly xScale: number;
  readonly yOffset: number;
  readonly yScale: number;
  /** A log scale has no place for what is not above 0. */
  readonly log: boolean;
}

export interface Lines {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
}

/** The place of an axis on which two values are known. */
export function along(value: number, at: number, other: number, otherAt: number): [number, number] {
  const scale = other === value ? 0 : (otherAt - at) / (other - value);
  return [at - scale * value, scale];
}

/** From which to which sample to draw: those in the range, and one beyond on either side. */
export function visible(samples: Samples, min: number, max: number): [number, number] {
  const first = Math.max(0, samples.from(min) - 1);
  let last = samples.from(max);
  while (last < samples.length && samples.x(last) <= max) last++;
  return [first, Math.min(samples.length, last + 1)];
}

/** A line through samples in the order of their x. Returns how many corners it has. */
export function drawByColumns(
  samples: Samples,
  from: number,
  to: number,
  place: Place,
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

/** A line through samples in the order in which they came. */
export function drawInOrder(samples: Samples, place: Place, lines: Lines): number {
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
