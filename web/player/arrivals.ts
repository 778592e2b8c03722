// Measures whether the pictures of one camera arrive late, or are left out because they would. No DOM; the time is passed
// in.
import type { DeliveryCounts } from '../client/events.ts';

/** How a camera is sent. */
export type Form = 'native' | 'keys' | 'jpeg';

/** From the hub's receipt of a picture to its arrival, in ms. A key frame on its own may take as long as it needs. */
const LATE: Readonly<Record<Form, number>> = { native: 1_500, keys: 3_000, jpeg: 500 };
/** A delay that falls by at least this part of the time that passes is being made up for. */
const RECOVERY = 0.25;
const SAMPLE_INTERVAL = 1_000;
/** A new subscription takes effect within this time; ms. */
const GRACE = 1_000;
/** After this long without a picture, nothing is known of the delay; ms. */
const FORGOTTEN: Readonly<Record<Form, number>> = { native: 5_000, keys: 15_000, jpeg: 5_000 };
/** Native video of which this part was left out has been overtaken. */
const LOST_PART = 0.1;

interface Sample {
  readonly at: number;
  readonly delay: number;
}

export class Arrivals {
  #form: Form = 'native';
  #startedAt = 0;
  #last: Sample | undefined;
  #sample: Sample | undefined;
  #isRecovering = false;
  #counts: DeliveryCounts | undefined;
  /** Whether most JPEGs were left out in the last second. */
  #isThinned = false;

  /** Starts over with another subscription. */
  restart(now: number, form = this.#form): void {
    this.#form = form;
    this.#startedAt = now;
    this.#last = this.#sample = this.#counts = undefined;
    this.#isRecovering = this.#isThinned = false;
  }

  /** Records a picture that arrived `delay` ms after the hub received it. */
  arrived(delay: number, now: number): void {
    // A new subscription starts with older pictures, and those of the one before may still be on their way.
    if (now - delay < this.#startedAt) return;
    this.#last = { at: now, delay };
    const sample = this.#sample;
    if (sample && now - sample.at < SAMPLE_INTERVAL) return;
    this.#sample = this.#last;
    // Until the second sample, it may be.
    this.#isRecovering = !sample || sample.delay - delay > (now - sample.at) * RECOVERY;
  }

  /** Records what the hub had sent at `now`. Returns whether it left out pictures because this viewer is too slow. */
  counted(counts: DeliveryCounts, now: number): boolean {
    if (now - this.#startedAt < GRACE) return false;
    const before = this.#counts;
    this.#counts = counts;
    // A subscription that has changed counts from the start.
    const sent = before ? counts.sent - before.sent : -1;
    const dropped = before ? counts.dropped - before.dropped : 0;
    const isComparable = sent >= 0 && dropped >= 0;
    this.#isThinned = isComparable && dropped > sent;
    if (this.#form !== 'native') return false;
    return counts.lagging || (isComparable && dropped > (sent + dropped) * LOST_PART);
  }

  isLate(now: number): boolean {
    const delay = this.#delay(now);
    if (delay === undefined || delay < LATE[this.#form] || this.#isRecovering) return false;
    return this.#form !== 'jpeg' || this.#isThinned;
  }

  isInTime(now: number): boolean {
    const delay = this.#delay(now);
    return delay !== undefined && delay < LATE[this.#form];
  }

  /** The delay of the last picture; undefined if nothing is known of it now. */
  #delay(now: number): number | undefined {
    const last = this.#last;
    if (!last || now - this.#startedAt < GRACE || now - last.at > FORGOTTEN[this.#form]) return undefined;
    return last.delay;
  }
}
