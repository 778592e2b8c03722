// The samples of one series in the browser, in two growable columns. Samples of a time series are sorted by time.
// When the columns are full, older samples are thinned.

/** The maximum number of samples per series. */
export const MAX_SAMPLES = 200_000;
/** Thinning keeps two of this many samples: the minimum and the maximum. */
const BUCKET = 4;
const INITIAL_CAPACITY = 256;

type Point = readonly [number, number];

export class Samples {
  #xs = new Float64Array(INITIAL_CAPACITY);
  #ys = new Float64Array(INITIAL_CAPACITY);
  #length = 0;
  /** The number of samples that were thinned once, twice and so on. The most thinned ones are the oldest. */
  readonly #levels: number[] = [];
  readonly #sorted: boolean;

  /** `sorted` keeps the samples in order of x, for time series. */
  constructor(sorted: boolean) {
    this.#sorted = sorted;
  }

  get length(): number {
    return this.#length;
  }

  /** The number of samples, from the first one on, that remain of thinned samples. */
  get thinned(): number {
    return this.#before(0);
  }

  x(index: number): number {
    return this.#xs[index] ?? NaN;
  }

  y(index: number): number {
    return this.#ys[index] ?? NaN;
  }

  /** Views of the columns, valid until the next `add`. */
  columns(): { xs: Float64Array; ys: Float64Array } {
    return { xs: this.#xs.subarray(0, this.#length), ys: this.#ys.subarray(0, this.#length) };
  }

  add(points: readonly Point[]): void {
    this.#ensureCapacity(this.#length + points.length);
    // Samples nearly always arrive in order.
    let end = this.#length;
    let newest = end > 0 && this.#sorted ? this.x(end - 1) : -Infinity;
    let next = 0;
    for (; next < points.length; next++) {
      const [x, y] = points[next] ?? [NaN, NaN];
      if (this.#sorted) {
        if (x < newest) break;
        newest = x;
      }
      this.#xs[end] = x;
      this.#ys[end] = y;
      end++;
    }
    this.#length = end;
    if (next < points.length) this.#merge(points.slice(next));
    while (this.#length > MAX_SAMPLES) this.#thin();
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

  /**
   * Inserts samples that arrived out of order. They are sorted once and merged from the end: one insertion each would
   * take minutes for a long series that arrives newest first.
   */
  #merge(late: Point[]): void {
    // The sort is stable, so samples with the same x stay in order of arrival.
    late.sort(([a], [b]) => a - b);
    let end = this.#length;
    this.#length += late.length;
    // The level of the samples around the insertion, and the index of the first of them.
    let level = 0;
    let start = this.thinned;
    for (let next = late.length - 1; next >= 0; next--) {
      const [x, y] = late[next] ?? [NaN, NaN];
      const at = this.#upperBound(x, end);
      if (at < end) {
        this.#xs.copyWithin(at + next + 1, at, end);
        this.#ys.copyWithin(at + next + 1, at, end);
        end = at;
      }
      this.#xs[at + next] = x;
      this.#ys[at + next] = y;
      while (at < start) start -= this.#levels[level++] ?? 0;
      const count = this.#levels[level - 1];
      if (count !== undefined) this.#levels[level - 1] = count + 1;
    }
  }

  /** Returns the first index below `end` whose x is greater than this, or `end`. */
  #upperBound(x: number, end: number): number {
    let low = 0;
    let high = end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.x(middle) <= x) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The number of samples that were thinned more often than this. */
  #before(level: number): number {
    return this.#levels.slice(level).reduce((sum, count) => sum + count, 0);
  }

  /**
   * Thins a part of the older samples as the hub does: of each few samples, the minimum and the maximum remain. Most
   * often this is the part with the most samples, so that older samples become coarser gradually.
   */
  #thin(): void {
    const whole = this.#length - this.thinned;
    const level = whole >= MAX_SAMPLES / 2 ? 0 : 1 + this.#levels.indexOf(Math.max(...this.#levels));
    const count = level === 0 ? whole - MAX_SAMPLES / 4 : Math.ceil((this.#levels[level - 1] ?? 0) / 2);
    const start = this.#before(level);
    const kept = this.#keepExtremes(start, start + count);
    if (level > 0) this.#levels[level - 1] = (this.#levels[level - 1] ?? 0) - count;
    this.#levels[level] = (this.#levels[level] ?? 0) + kept;
  }

  /** Replaces the samples in `start..end` by the minimum and the maximum of each bucket. Returns their number. */
  #keepExtremes(start: number, end: number): number {
    let to = start;
    const keep = (index: number): void => {
      this.#xs[to] = this.x(index);
      this.#ys[to] = this.y(index);
      to++;
    };
    for (let bucket = start; bucket < end; bucket += BUCKET) {
      let [least, greatest] = [bucket, bucket];
      for (let index = bucket + 1; index < Math.min(bucket + BUCKET, end); index++) {
        if (this.y(index) < this.y(least)) least = index;
        if (this.y(index) >= this.y(greatest)) greatest = index;
      }
      keep(Math.min(least, greatest));
      if (least !== greatest) keep(Math.max(least, greatest));
    }
    this.#xs.copyWithin(to, end, this.#length);
    this.#ys.copyWithin(to, end, this.#length);
    this.#length -= end - to;
    return to - start;
  }

  #ensureCapacity(length: number): void {
    if (length <= this.#xs.length) return;
    const capacity = Math.max(2 * this.#xs.length, length);
    const [xs, ys] = [new Float64Array(capacity), new Float64Array(capacity)];
    xs.set(this.#xs.subarray(0, this.#length));
    ys.set(this.#ys.subarray(0, this.#length));
    [this.#xs, this.#ys] = [xs, ys];
  }
}
