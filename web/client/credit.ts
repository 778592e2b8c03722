// Credit of one connection: how many frames the hub may send of each camera before we ask for more.
// A frame that is being decoded and painted holds its credit, so a slow screen slows the hub down by itself.

interface Account {
  /** Credit that stands at the hub, or whose frame is on its way. */
  standing: number;
  /** Frames that arrived and are not painted yet. */
  held: number;
}

/** From this round trip on, one outstanding frame would halve the rate; ms. */
const LONG_ROUND_TRIP = 50;

export class Credit {
  #accounts = new Map<string, Account>();
  #owed = new Map<string, number>();
  #target = 1;

  /** What a new subscription of the camera starts with; frames still held from the last one stay counted. */
  open(camera: string): number {
    const held = this.#accounts.get(camera)?.held ?? 0;
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
  arrived(camera: string): boolean {
    const account = this.#accounts.get(camera);
    if (!account) return false;
    account.standing = Math.max(0, account.standing - 1);
    account.held += 1;
    return true;
  }

  /** A frame was painted, superseded or could not be decoded: in each case the next one is welcome. */
  finished(camera: string): void {
    const account = this.#accounts.get(camera);
    if (!account) return;
    account.held = Math.max(0, account.held - 1);
    this.#settle(camera, account);
  }

  roundTripIs(milliseconds: number): void {
    const target = milliseconds > LONG_ROUND_TRIP ? 2 : 1;
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
    const missing = this.#target - account.standing - account.held;
    if (missing <= 0) return;
    account.standing += missing;
    this.#owed.set(camera, (this.#owed.get(camera) ?? 0) + missing);
  }
}
