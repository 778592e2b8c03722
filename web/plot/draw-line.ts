// Draws one series' line. Of samples that fall on one column of pixels only the first, the least, the greatest and
// the last matter: the picture is the same, and a million samples cost no more than the columns.
import type { Samples } from './samples.ts';

export interface Place {
  /** The canvas place of a value. */
  x(value: number): number;
  y(value: number): number;
  /** Whether a y can be drawn at all: a log scale has no place for 0. */
  shows(y: number): boolean;
}

export interface Lines {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
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
  let corners = 0;
  let begun = false;
  let column = NaN;
  let [low, high, last] = [0, 0, 0];
  const corner = (x: number, y: number): void => {
    if (begun) lines.lineTo(x, y);
    else lines.moveTo(x, y);
    begun = true;
    corners++;
  };
  const finish = (): void => {
    if (Number.isNaN(column)) return;
    if (low !== last || high !== last) {
      corner(column, low);
      if (high !== low) corner(column, high);
      if (last !== high) corner(column, last);
    }
    column = NaN;
  };
  for (let index = from; index < to; index++) {
    const value = samples.y(index);
    if (!place.shows(value)) {
      finish();
      begun = false;
      continue;
    }
    const x = Math.round(place.x(samples.x(index)));
    const y = place.y(value);
    if (x !== column) {
      finish();
      column = x;
      low = high = last = y;
      corner(x, y);
    } else {
      low = Math.min(low, y);
      high = Math.max(high, y);
      last = y;
    }
  }
  finish();
  return corners;
}

/** A line through samples in the order in which they came. */
export function drawInOrder(samples: Samples, place: Place, lines: Lines): number {
  let begun = false;
  let corners = 0;
  for (let index = 0; index < samples.length; index++) {
    const value = samples.y(index);
    if (!place.shows(value)) {
      begun = false;
      continue;
    }
    const [x, y] = [place.x(samples.x(index)), place.y(value)];
    if (begun) lines.lineTo(x, y);
    else lines.moveTo(x, y);
    begun = true;
    corners++;
  }
  return corners;
}
