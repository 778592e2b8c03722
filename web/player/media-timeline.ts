// Gives the units of one camera their times in a media element. Browsers play a timeline without holes and steps, which
// the capture times of a camera are not: units are skipped, clocks are set, streams change. Times are in µs.
import type { SampleTimes } from './fragmented-mp4.ts';

/** Where the first unit is. Earlier times can follow. */
const START = 10_000_000;
/** How far decoding is ahead of presentation. No picture is shown more than this after others that follow it. */
const AHEAD = 1_000_000;
/** The smallest step of the decoding time. */
const MIN_STEP = 1_000;
/** The largest step, in intervals. */
const DECODE_INTERVALS = 1.5;
/** The interval between two pictures until it is measured. */
const DEFAULT_INTERVAL = 100_000;
/** The number of units after which the interval counts as measured. */
const ENOUGH_UNITS = 8;
const WEIGHT = 0.1;
/**
 * A unit is declared longer than the interval, so that the picture stays if the next one is late. A longer pause of the
 * camera is cut out, because a hole stops the playback.
 */
const DURATION_INTERVALS = 2.5;
const MIN_DURATION = 100_000;
const MAX_DURATION = 4_000_000;
/** Where pictures are not shown in the order in which they are decoded, one may be this many intervals after the last. */
const REORDERED_INTERVALS = 8;
/** A larger step back is forgotten within a few hundred units. */
const STEP_BACK_DECAY = 0.99;
/** The number of units whose capture time is known. */
const MAX_KNOWN = 256;

interface Known {
  readonly presentationTime: number;
  readonly captureTime: number;
}

export class MediaTimeline {
  /** The capture time at media time 0. */
  #offset: number | undefined;
  #newest = 0;
  #decodeTime = 0;
  /** No picture is shown earlier: the time of the newest key frame that allows none, or of the first one. */
  #floor = 0;
  #isFloorClosed = false;
  /** The declared duration of the last unit. */
  #declared = 0;
  #interval = DEFAULT_INTERVAL;
  #units = 0;
  #isReordered = false;
  #stepBack = 0;
  #known: Known[] = [];

  /** Whether pictures are not shown in the order in which they are decoded. */
  get isReordered(): boolean {
    return this.#isReordered;
  }

  /** The latest presentation time so far. */
  get newest(): number {
    return this.#newest;
  }

  /** How much a presentation time typically steps back at most. */
  get stepBack(): number {
    return this.#stepBack;
  }

  /**
   * Returns the times of the next unit; `undefined` if it belongs to pictures before the first. A key frame is shown
   * after everything before it, and a closed one before everything after it.
   */
  next(captureTime: number, isKey: boolean, isClosed = isKey): SampleTimes | undefined {
    const isFirst = this.#offset === undefined;
    let offset = this.#offset ?? captureTime - START;
    let presentationTime = captureTime - offset;
    if (!isFirst) {
      const advance = presentationTime - this.#newest;
      const limit = this.#isReordered ? this.#interval * REORDERED_INTERVALS : this.#duration;
      const isHole = advance > Math.max(limit, this.#units < ENOUGH_UNITS ? MAX_DURATION / 4 : 0);
      const isStep = advance <= (isKey ? 0 : -AHEAD);
      if (isHole || isStep) {
        presentationTime = this.#newest + Math.round(this.#interval);
        offset = captureTime - presentationTime;
      } else if (advance < 0) {
        this.#isReordered = true;
      }
      const stepBack = isStep ? 0 : -advance;
      this.#stepBack = Math.max(stepBack, this.#stepBack * STEP_BACK_DECAY);
      this.#measure(Math.max(0, presentationTime - this.#newest));
    }
    if (isFirst || (isKey && isClosed)) {
      this.#floor = presentationTime;
      this.#isFloorClosed = isClosed;
    } else if (presentationTime <= this.#floor) {
      if (!this.#isFloorClosed) return undefined;
      // The key frame was given too late a time.
      presentationTime = this.#floor + MIN_STEP;
      offset = captureTime - presentationTime;
    }
    this.#offset = offset;
    const decodeTime = this.#nextDecodeTime(presentationTime, isFirst);
    this.#newest = Math.max(this.#newest, presentationTime);
    this.#known.push({ presentationTime, captureTime });
    if (this.#known.length > MAX_KNOWN) this.#known.shift();
    this.#declared = Math.round(this.#duration);
    return { decodeTime, presentationTime, duration: this.#declared };
  }

  /** The capture time of the picture at a media time: that of the last one which is not later. */
  captureTime(mediaTime: number): number | undefined {
    let found: Known | undefined;
    for (const known of this.#known)
      if (
        known.presentationTime <= mediaTime + MIN_STEP / 2 &&
        known.presentationTime >= (found?.presentationTime ?? 0)
      )
        found = known;
    return found?.captureTime;
  }

  get #duration(): number {
    if (this.#units < ENOUGH_UNITS) return MAX_DURATION / 8;
    return Math.min(MAX_DURATION, Math.max(MIN_DURATION, this.#interval * DURATION_INTERVALS));
  }

  /** Decoding times rise in small steps, because browsers discard units after a large one. */
  #nextDecodeTime(presentationTime: number, isFirst: boolean): number {
    const wanted = presentationTime - AHEAD;
    if (isFirst) this.#decodeTime = wanted;
    else {
      const step = Math.min(this.#declared, Math.round(this.#interval * DECODE_INTERVALS));
      this.#decodeTime += Math.max(MIN_STEP, Math.min(wanted - this.#decodeTime, step));
    }
    return this.#decodeTime;
  }

  #measure(advance: number): void {
    this.#units += 1;
    const weight = Math.max(WEIGHT, 1 / this.#units);
    this.#interval += weight * (advance - this.#interval);
    this.#interval = Math.max(MIN_STEP, Math.min(MAX_DURATION, this.#interval));
  }
}
