// The hub's clock, estimated from the times at which the hub received samples.

/** A higher estimate replaces a lower one at once, a lower one a higher one after this time in ms. */
const VALID = 60_000;

export class HubClock {
  /** The hub's time minus the page's. */
  #offset = 0;
  #at = -Infinity;

  /** Returns the hub's time at this time of the page. */
  now(page: number): number {
    return page + this.#offset;
  }

  /**
   * A message arrived with a sample that the hub received at `received`. The sample may be older than the message, so the
   * highest of the recent estimates is the best one. In a history it may be much older.
   */
  observe(received: number, page: number, isHistory: boolean): void {
    const offset = received - page;
    if (offset <= this.#offset && (isHistory || page - this.#at < VALID)) return;
    this.#offset = offset;
    if (!isHistory) this.#at = page;
  }
}
