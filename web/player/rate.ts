// Measures the rate of painted pictures of one camera.

const KEPT = 16;
const RECENT = 10_000;

export class Rate {
  #times: number[] = [];

  add(now: number): void {
    this.#times.push(now);
    if (this.#times.length > KEPT) this.#times.shift();
  }

  /** Called after a requested pause, because that gap is not the camera's. */
  reset(): void {
    this.#times = [];
  }

  /** The usual time between two pictures in ms; 0 while unknown. */
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
    const waited = now - last;
    if (waited > Math.max(RECENT, 5 * interval)) return 0;
    return 1000 / (waited > 2 * interval ? waited : interval);
  }
}
