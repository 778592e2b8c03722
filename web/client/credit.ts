// Credit of one connection: how many frames the hub may send of each camera before we ask for more.
// A frame that is being decoded and painted holds its credit, so a slow screen slows the hub down by itself.

interface Account {
  /** Credit that stands at the hub, or whose frame is on its way. */
  standing: number;
  /** When each of the frames that are not painted yet arrived, oldest first; ms. */
  readonly held: number[];
}

/** From this round trip on, one outstanding frame would halve the rate; ms. */
const LONG_ROUND_TRIP = 50;
/** A screen that holds each of single frames for one round trip holds each of two for three: with this, neither
 * number leads to the other and back. */
const HELD_WITH_TWO = 3;
/** How much the newest frame counts in how long frames are held. */
const WEIGHT = 0.1;

export class Credit {
  #accounts = new Map<string, Account>();
  #owed = new Map<string, number>();
  #target = 1;
  /** How long frames are held of late; ms. */
  #holding = 0;

  /** What a new subscription of the camera starts with; frames still held from the last one stay counted. */
  open(camera: string): number {
    const held = this.#accounts.get(camera)?.held ?? [];
    this.#owed.delete(camera);
    this.#accounts.set(camera, { standing: this.#target, held });
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

  /** False when nothing was asked of this camera: a frame that was on its way when we unsubscribed. */
  arrived(camera: string, now: number): boolean {
    const account = this.#accounts.get(camera);
    if (!account) return false;
    account.standing = Math.max(0, account.standing - 1);
    account.held.push(now);
    return true;
  }

  /** A frame was painted, superseded or could not be decoded: in each case the next one is welcome. */
  finished(camera: string, now: number): void {
    const account = this.#accounts.get(camera);
    if (!account) return;
    const arrival = account.held.shift();
    if (arrival !== undefined) this.#holding += WEIGHT * (Math.max(0, now - arrival) - this.#holding);
    this.#settle(camera, account);
  }

  /**
   * A second frame under way makes up for a long round trip. Where painting takes longer than that it makes up for
   * nothing: it would only wait, and grow old.
   */
  roundTripIs(milliseconds: number): void {
    const patience = milliseconds * (this.#target === 2 ? HELD_WITH_TWO : 1);
    const target = milliseconds > LONG_ROUND_TRIP && this.#holding <= patience ? 2 : 1;
    if (target === this.#target) return;
    this.#target = target;
    for (const [camera, account] of this.#accounts) this.#settle(camera, account);
  }

  /** The credit to send now, taken out; `undefined` when there is none. */
  take(): Record<string, number> | undefined {
    if (this.#owed.size === 0) return undefined;
    const add = Object.fromEntries(this.#owed);
    this.#owed.clear();
    return add;
  }

  #settle(camera: string, account: Account): void {
    const missing = this.#target - account.standing - account.held.length;
    if (missing <= 0) return;
    account.standing += missing;
    this.#owed.set(camera, (this.#owed.get(camera) ?? 0) + missing);
  }
}
