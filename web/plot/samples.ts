// The samples of one series in the browser: two growable columns that drop their oldest part when they are full.
// Samples of a time series are sorted by time.

/** The maximum number of samples per series. If it is exceeded, the oldest quarter is dropped. */
export const MAX_SAMPLES = 200_000;
const INITIAL_CAPACITY = 256;

export class Samples {
  #xs = new Float64Array(INITIAL_CAPACITY);
  #ys = new Float64Array(INITIAL_CAPACITY);
  #start = 0;
  #end = 0;
  readonly #sorted: boolean;

  /** `sorted` keeps the samples in order of x, for time series. */
  constructor(sorted: boolean) {
    this.#sorted = sorted;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  x(index: number): number {
    return this.#xs[this.#start + index] ?? NaN;
  }

  y(index: number): number {
    return this.#ys[this.#start + index] ?? NaN;
  }

  /** Views of the columns, valid until the next `add`. */
  columns(): { xs: Float64Array; ys: Float64Array } {
    return { xs: this.#xs.subarray(this.#start, this.#end), ys: this.#ys.subarray(this.#start, this.#end) };
  }

  add(points: readonly (readonly [number, number])[]): void {
    this.#ensureCapacity(points.length);
    for (const [x, y] of points) {
      let at = this.#end;
      if (this.#sorted) {
        // Samples nearly always arrive in order, so search from the end.
        while (at > this.#start && (this.#xs[at - 1] ?? 0) > x) at--;
        if (at < this.#end) {
          this.#xs.copyWithin(at + 1, at, this.#end);
          this.#ys.copyWithin(at + 1, at, this.#end);
        }
      }
      this.#xs[at] = x;
      this.#ys[at] = y;
      this.#end++;
    }
    if (this.length > MAX_SAMPLES) this.#start = this.#end - Math.floor(MAX_SAMPLES * 0.75);
  }

  /** Returns the first index whose x is at least this. For sorted samples only. */
  lowerBound(x: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.x(middle) < x) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Returns the index of the sample nearest to this x; `undefined` if there are no samples. */
  nearest(x: number): number | undefined {
    if (this.length === 0) return undefined;
    if (!this.#sorted) {
      let best = 0;
      for (let index = 1; index < this.length; index++)
        if (Math.abs(this.x(index) - x) < Math.abs(this.x(best) - x)) best = index;
      return best;
    }
    const after = this.lowerBound(x);
    if (after === 0) return 0;
    if (after === this.length) return after - 1;
    return x - this.x(after - 1) <= this.x(after) - x ? after - 1 : after;
  }

  #ensureCapacity(count: number): void {
    const needed = this.length + count;
    if (this.#end + count <= this.#xs.length) return;
    const capacity =
      needed > this.#xs.length / 2 ? Math.max(2 * this.#xs.length, 2 * needed) : this.#xs.length;
    const [xs, ys] = [new Float64Array(capacity), new Float64Array(capacity)];
    xs.set(this.#xs.subarray(this.#start, this.#end));
    ys.set(this.#ys.subarray(this.#start, this.#end));
    this.#end = this.length;
    this.#start = 0;
    [this.#xs, this.#ys] = [xs, ys];
  }
}
