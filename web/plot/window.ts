// The shown x range: the newest samples, or a range that the user selected.

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** The greatest time that can be shown, in ms. A Date ends at 8.64e15; ticks beside the range must be within that. */
export const MAX_TIME = 8e15;
/** The minimum width of the range, relative to its position. Doubles are not more precise. */
const MIN_WIDTH = 1e-15;

export class ViewWindow {
  /** The length of the range of newest samples to show; `undefined` for all. */
  span: number | undefined;
  /** The greatest x that can be shown. */
  limit = MAX_TIME;
  #fixed: Range | undefined;

  constructor(span: number | undefined) {
    this.span = span;
  }

  get following(): boolean {
    return this.#fixed === undefined;
  }

  /** Returns the range to show of data from `min` to `max`. `whole` ignores `span`. */
  range(min: number, max: number, whole = false): Range {
    if (this.#fixed) return this.#fixed;
    if (this.span !== undefined && !whole) return { min: max - this.span, max };
    return max > min ? { min, max } : { min: min - 1, max: max + 1 };
  }

  select(range: Range): void {
    const min = Math.max(range.min, -this.limit);
    const max = Math.min(range.max, this.limit);
    const minWidth = Math.max(Math.abs(min), Math.abs(max)) * MIN_WIDTH;
    this.#fixed = max - min > minWidth ? { min, max } : { min, max: min + (minWidth || 1) };
  }

  follow(): void {
    this.#fixed = undefined;
  }

  /** Multiplies the shown range by `factor`, around a fixed position. */
  zoom(shown: Range, factor: number, around = (shown.min + shown.max) / 2): void {
    this.select({ min: around - (around - shown.min) * factor, max: around + (shown.max - around) * factor });
  }

  /** Moves by a fraction of the shown range; negative towards the past. */
  pan(shown: Range, fraction: number): void {
    const offset = shown.max * fraction - shown.min * fraction;
    this.select({ min: shown.min + offset, max: shown.max + offset });
  }
}

/** Returns a y range for these values with a margin. A log scale ignores values of 0 or less. */
export function yRange(low: number, high: number, log: boolean): [number, number] {
  if (log) {
    if (!(high > 0)) return [1, 10];
    const bottom = low > 0 ? low : high / 1000;
    const from = 10 ** Math.floor(Math.log10(bottom || Number.MIN_VALUE));
    const to = 10 ** Math.ceil(Math.log10(high * 1.0001));
    return [Math.max(from, Number.MIN_VALUE), Math.min(to, Number.MAX_VALUE)];
  }
  if (!(high >= low)) return [0, 1];
  const margin = high > low ? high * 0.06 - low * 0.06 : Math.abs(high) * 0.05 || 1;
  return [Math.max(low - margin, -Number.MAX_VALUE), Math.min(high + margin, Number.MAX_VALUE)];
}
