// One series' samples in the browser: two columns that grow, and lose their oldest part when they are long. Samples
// of a time series are kept in the order of their times, whatever order they came in.

/** So many samples of a series are held; when there are more, the oldest quarter goes. */
export const HELD = 200_000;
const FIRST_ROOM = 256;

export class Samples {
  #xs = new Float64Array(FIRST_ROOM);
  #ys = new Float64Array(FIRST_ROOM);
  #start = 0;
  #end = 0;
  readonly #sorted: boolean;

  /** `sorted`: their x are times. */
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

  /** The columns as they stand; good until the next `add`. */
  columns(): { xs: Float64Array; ys: Float64Array } {
    return { xs: this.#xs.subarray(this.#start, this.#end), ys: this.#ys.subarray(this.#start, this.#end) };
  }

  add(points: readonly (readonly [number, number])[]): void {
    this.#makeRoom(points.length);
    for (const [x, y] of points) {
      let at = this.#end;
      if (this.#sorted) {
        // Nearly always the newest comes last.
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
    if (this.length > HELD) this.#start = this.#end - Math.floor(HELD * 0.75);
  }

  /** The first index whose x is at least this; for sorted samples. */
  from(x: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.x(middle) < x) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The index of the sample nearest to this x; `undefined` when there is none. */
  nearest(x: number): number | undefined {
    if (this.length === 0) return undefined;
    if (!this.#sorted) {
      let best = 0;
      for (let index = 1; index < this.length; index++)
        if (Math.abs(this.x(index) - x) < Math.abs(this.x(best) - x)) best = index;
      return best;
    }
    const after = this.from(x);
    if (after === 0) return 0;
    if (after === this.length) return after - 1;
    return x - this.x(after - 1) <= this.x(after) - x ? after - 1 : after;
  }

  #makeRoom(count: number): void {
    const needed = this.length + count;
    if (this.#end + count <= this.#xs.length) return;
    const room = needed > this.#xs.length / 2 ? Math.max(2 * this.#xs.length, 2 * needed) : this.#xs.length;
    const [xs, ys] = [new Float64Array(room), new Float64Array(room)];
    xs.set(this.#xs.subarray(this.#start, this.#end));
    ys.set(this.#ys.subarray(this.#start, this.#end));
    this.#end = this.length;
    this.#start = 0;
    [this.#xs, this.#ys] = [xs, ys];
  }
}
