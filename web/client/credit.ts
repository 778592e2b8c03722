// The credit of one connection: how many frames of each camera the hub may send before the client returns credit.
// A JPEG holds its credit until it is painted, so a slow screen slows down the hub. A unit of native video holds it only
// until the decoder has taken it, because some decoders output nothing until they hold many units.
//
// Credit is returned in batches, as far as the credit that still stands at the hub allows.

interface Account {
  /** Credit at the hub, or used by a frame in transit. */
  standing: number;
  /** The arrival times of frames that are not finished yet, oldest first; ms. Undefined for native video. */
  readonly held: (number | undefined)[];
  /** Whether the last frame was native video; undefined before the first of a subscription that lists native video. */
  native: boolean | undefined;
  /** Units of native video per second. */
  fps: number;
  windowStart: number;
  windowUnits: number;
}

/** The hub's limits of standing credit. */
export const MAX_JPEG_CREDIT = 8;
export const MAX_NATIVE_CREDIT = 64;
const MIN_NATIVE_CREDIT = 4;
/** At longer round trips, a single outstanding frame would halve the frame rate; ms. */
const LONG_ROUND_TRIP = 50;
/** With a credit of 1, a frame that is held for one round trip would be held for three with a credit of 2. This factor
 * prevents the credit from oscillating between 1 and 2. */
const HOLDING_FACTOR = 3;
/** The weight of the newest frame in the moving average of the holding time. */
const WEIGHT = 0.1;
/**
 * At short round trips, JPEG gets a credit of 2, returned every second frame, if painting is faster than the first
 * limit, and a credit of 1 if it is slower than the second; ms. A second frame would only wait for a slow screen.
 */
const FAST_PAINTING = 25;
const SLOW_PAINTING = 60;
/** The number of painted JPEGs after which the holding time is known. */
const ENOUGH_FRAMES = 16;
/** Native video's assumed rate until it is measured. */
const DEFAULT_FPS = 25;
const RATE_WINDOW = 1_000;
/** How long native video may play before its credit is returned; s. */
const BATCH_SECONDS = 0.4;
/** Credit for units that arrive in a burst: this part of a second, within these limits. */
const BURST_SECONDS = 0.25;
const MIN_BURST = 2;
const MAX_BURST = 4;

export class Credit {
  #accounts = new Map<string, Account>();
  #jpegTarget = 1;
  #roundTrip = 0;
  /** The moving average of how long JPEGs are held; ms. */
  #holding = 0;
  #painted = 0;

  /**
   * Opens an account for a new subscription and returns its credit. `native` is whether the subscription lists native
   * video. Frames that are still held from the previous subscription remain counted.
   */
  open(camera: string, native = false): number {
    const before = this.#accounts.get(camera);
    // Until the first frame the codec is not known, so this is within the limits of both.
    const standing = native ? MAX_JPEG_CREDIT : this.#jpegTarget;
    const account: Account = {
      standing,
      held: before?.held ?? [],
      native: native ? undefined : false,
      fps: before?.fps ?? DEFAULT_FPS,
      windowStart: 0,
      windowUnits: 0,
    };
    this.#accounts.set(camera, account);
    return standing;
  }

  close(camera: string): void {
    this.#accounts.delete(camera);
  }

  clear(): void {
    this.#accounts.clear();
  }

  /**
   * Records a frame. Returns false if the camera is not subscribed: the frame was in transit during the unsubscribe.
   */
  arrived(camera: string, now: number, native = false): boolean {
    const account = this.#accounts.get(camera);
    if (!account) return false;
    account.standing = Math.max(0, account.standing - 1);
    // The hub lets fewer credits stand for JPEG. An estimate that is too high would leave it without credit.
    if (!native) account.standing = Math.min(account.standing, MAX_JPEG_CREDIT - 1);
    account.held.push(native ? undefined : now);
    account.native = native;
    if (native) measureRate(account, now);
    return true;
  }

  /** Records that a frame was painted, taken by a decoder, superseded or skipped. Each case returns its credit. */
  finished(camera: string, now: number): void {
    const arrival = this.#accounts.get(camera)?.held.shift();
    if (arrival === undefined) return;
    this.#holding += WEIGHT * (Math.max(0, now - arrival) - this.#holding);
    this.#painted += 1;
  }

  /**
   * Sets the round trip. A second JPEG in transit compensates for a long one. If painting takes longer than the round
   * trip, a second JPEG would only wait and get older.
   */
  setRoundTrip(milliseconds: number): void {
    this.#roundTrip = milliseconds;
    this.#jpegTarget = this.#hasTwoJpegs(milliseconds) ? 2 : 1;
  }

  #hasTwoJpegs(roundTrip: number): boolean {
    const two = this.#jpegTarget === 2;
    if (roundTrip > LONG_ROUND_TRIP) return this.#holding <= roundTrip * (two ? HOLDING_FACTOR : 1);
    return this.#painted >= ENOUGH_FRAMES && this.#holding <= (two ? SLOW_PAINTING : FAST_PAINTING);
  }

  /**
   * Takes the credit to send now; `undefined` if it can wait. A message carries the credit of all cameras, also of those
   * for which it could wait. With `all`, nothing waits.
   */
  take(all = false): Record<string, number> | undefined {
    const owed = new Map<string, number>();
    let isDue = false;
    for (const [camera, account] of this.#accounts) {
      const { target, batch } = this.#limits(account);
      const missing = target - account.standing - account.held.length;
      if (missing <= 0) continue;
      owed.set(camera, missing);
      isDue ||= all || account.standing === 0 || missing >= batch;
    }
    if (!isDue) return undefined;
    for (const [camera, missing] of owed) {
      const account = this.#accounts.get(camera);
      if (account) account.standing += missing;
    }
    return Object.fromEntries(owed);
  }

  /** The credit to keep outstanding, and how much of it is returned at a time. */
  #limits({ native, fps }: Account): { target: number; batch: number } {
    // Nothing is returned before the first frame: the credit at the hub is enough for it.
    if (native === undefined) return { target: 0, batch: 1 };
    if (!native) {
      const target = this.#jpegTarget;
      return { target, batch: this.#roundTrip > LONG_ROUND_TRIP ? 1 : target };
    }
    const batch = Math.max(2, Math.ceil(fps * BATCH_SECONDS));
    // The rate falls with that of a slow decoder, so fewer units wait for it.
    const burst = Math.min(MAX_BURST, Math.max(MIN_BURST, Math.ceil(fps * BURST_SECONDS)));
    const inTransit = Math.ceil((fps * this.#roundTrip) / 1000);
    const target = Math.min(MAX_NATIVE_CREDIT, Math.max(MIN_NATIVE_CREDIT, inTransit + batch + burst));
    return { target, batch: Math.min(batch, target >> 1) };
  }
}

function measureRate(account: Account, now: number): void {
  if (account.windowStart === 0) account.windowStart = now;
  const elapsed = now - account.windowStart;
  if (elapsed >= RATE_WINDOW || elapsed < 0) {
    if (elapsed > 0) account.fps = (account.windowUnits * 1000) / elapsed;
    account.windowStart = now;
    account.windowUnits = 0;
  }
  account.windowUnits += 1;
}
