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
/** Most of it was left out if this part was, in so many reports of the hub: a group may last for seconds. */
const MOST = 0.5;
const REPORTS = 4;

/** How much of a camera's native video the hub leaves out. */
export type Loss = 'none' | 'some' | 'most';

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
  /** What was sent and left out between the last reports. */
  #reports: { readonly sent: number; readonly dropped: number }[] = [];
  /** Whether most JPEGs were left out in the last second. */
  #isThinned = false;

  /** Starts over with another subscription. */
  restart(now: number, form = this.#form): void {
    this.#form = form;
    this.#startedAt = now;
    this.#last = this.#sample = this.#counts = undefined;
    this.#isRecovering = this.#isThinned = false;
    this.#reports = [];
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

  /** Records what the hub had sent at `now`. Returns what it left out because this viewer is too slow. */
  counted(counts: DeliveryCounts, now: number): Loss {
    if (now - this.#startedAt < GRACE) return 'none';
    const before = this.#counts;
    this.#counts = counts;
    // A subscription that has changed counts from the start.
    const sent = before ? counts.sent - before.sent : -1;
    const dropped = before ? counts.dropped - before.dropped : 0;
    const isComparable = sent >= 0 && dropped >= 0;
    this.#isThinned = isComparable && dropped > sent;
    if (this.#form !== 'native') return 'none';
    if (isComparable) this.#reports = [...this.#reports, { sent, dropped }].slice(-REPORTS);
    const isLosing = counts.lagging || (isComparable && dropped > (sent + dropped) * LOST_PART);
    if (!isLosing) return 'none';
    const lost = this.#reports.reduce((sum, report) => sum + report.dropped, 0);
    const all = this.#reports.reduce((sum, report) => sum + report.sent, lost);
    return lost > all * MOST ? 'most' : 'some';
  }

  isLate(now: number): boolean {
    const delay = this.#delay(now);
    if (delay === undefined || delay < LATE[this.#form] || this.#isRecovering) return false;
    return this.#form !== 'jpeg' || this.#isThinned;
  }

  /** Whether pictures are so late that fewer of them, in time, are better. */
  isVeryLate(now: number): boolean {
    return this.isLate(now) && (this.#form !== 'native' || (this.#delay(now) ?? 0) >= LATE.keys);
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
