// The credit of one connection: how many frames of each camera the hub may send before the client returns credit.
// A frame holds its credit until it is painted, so a slow screen slows down the hub.

interface Account {
  /** Credit at the hub, or used by a frame in transit. */
  outstanding: number;
  /** The arrival times of frames that are not painted yet, oldest first; ms. */
  readonly held: number[];
}

/** At longer round trips, a single outstanding frame would halve the frame rate; ms. */
const LONG_ROUND_TRIP = 50;
/** With a credit of 1, a frame that is held for one round trip would be held for three with a credit of 2. This factor
 * prevents the credit from oscillating between 1 and 2. */
const HOLDING_FACTOR = 3;
/** The weight of the newest frame in the moving average of the holding time. */
const WEIGHT = 0.1;

export class Credit {
  #accounts = new Map<string, Account>();
  #owed = new Map<string, number>();
  #target = 1;
  /** The moving average of how long frames are held; ms. */
  #holding = 0;

  /**
   * Opens an account for a new subscription and returns its credit. Frames that are still held from the
   * previous subscription remain counted.
   */
  open(camera: string): number {
    const held = this.#accounts.get(camera)?.held ?? [];
    this.#owed.delete(camera);
    this.#accounts.set(camera, { outstanding: this.#target, held });
    return this.#target;
  }

  close(camera: string): void {
    this.#accounts.delete(camera);
    this.#owed.delete(camera);
  }

  clear(): void {
    this.#accounts.clear();
    this.#owed.clear();
  }

  /**
   * Records a frame. Returns false if the camera is not subscribed: the frame was in transit during the unsubscribe.
   */
  arrived(camera: string, now: number): boolean {
    const account = this.#accounts.get(camera);
    if (!account) return false;
    account.outstanding = Math.max(0, account.outstanding - 1);
    account.held.push(now);
    return true;
  }

  /** Records that a frame was painted, superseded or could not be decoded. Each case returns its credit. */
  finished(camera: string, now: number): void {
    const account = this.#accounts.get(camera);
    if (!account) return;
    const arrival = account.held.shift();
    if (arrival !== undefined) this.#holding += WEIGHT * (Math.max(0, now - arrival) - this.#holding);
    this.#topUp(camera, account);
  }

  /**
   * Sets the round trip. A second frame in transit compensates for a long one. If painting takes longer than the round
   * trip, a second frame would only wait and get older.
   */
  setRoundTrip(milliseconds: number): void {
    const limit = milliseconds * (this.#target === 2 ? HOLDING_FACTOR : 1);
    const target = milliseconds > LONG_ROUND_TRIP && this.#holding <= limit ? 2 : 1;
    if (target === this.#target) return;
    this.#target = target;
    for (const [camera, account] of this.#accounts) this.#topUp(camera, account);
  }

  /** Takes the credit to send now; `undefined` if there is none. */
  take(): Record<string, number> | undefined {
    if (this.#owed.size === 0) return undefined;
    const add = Object.fromEntries(this.#owed);
    this.#owed.clear();
    return add;
  }

  #topUp(camera: string, account: Account): void {
    const missing = this.#target - account.outstanding - account.held.length;
    if (missing <= 0) return;
    account.outstanding += missing;
    this.#owed.set(camera, (this.#owed.get(camera) ?? 0) + missing);
  }
}
