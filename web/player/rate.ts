// Measures the rate of painted pictures of one camera.

const MAX_TIMES = 16;
const RECENT_MS = 10_000;

export class Rate {
  #times: number[] = [];

  add(now: number): void {
    this.#times.push(now);
    if (this.#times.length > MAX_TIMES) this.#times.shift();
  }

  /** Called after a requested pause, because the camera did not cause that gap. */
  reset(): void {
    this.#times = [];
  }

  /** The typical time between two pictures in ms; 0 while unknown. */
  get interval(): number {
    const first = this.#times[0];
    const last = this.#times.at(-1);
    return first === undefined || last === undefined || this.#times.length < 2
      ? 0
      : (last - first) / (this.#times.length - 1);
  }

  /** Pictures per second. It falls to 0 when they stop, instead of keeping the last rate. */
  fps(now: number): number {
    const interval = this.interval;
    const last = this.#times.at(-1);
    if (interval <= 0 || last === undefined) return 0;
    const elapsed = now - last;
    if (elapsed > Math.max(RECENT_MS, 5 * interval)) return 0;
    return 1000 / (elapsed > 2 * interval ? elapsed : interval);
  }
}
