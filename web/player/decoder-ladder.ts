// Decides what decodes a camera whose decoders fail: a ladder that goes down with each failure and up again by itself.
// No DOM; the time is passed in.
import type { MediaFailure } from './media-messages.ts';

/** `sub` is the substream with a software decoder. */
export type DecoderStep = 'hardware' | 'software' | 'sub' | 'jpeg';

/** A decoder that worked may fail this often in this many ms, because a camera may send a damaged unit. */
const MAX_ERRORS = 3;
const ERROR_WINDOW = 60_000;
/** The time at a step before the next one above is tried. It doubles with each attempt that fails; ms. */
const RETRY_AFTER = 60_000;
const MAX_RETRY = 300_000;

export class DecoderLadder {
  #step: DecoderStep = 'hardware';
  #cause: MediaFailure | undefined;
  #hasSub = false;
  #errors: number[] = [];
  #wait = RETRY_AFTER;
  #climbedAt: number | undefined;

  get step(): DecoderStep {
    return this.#step;
  }

  /** Why it is not at the top. */
  get cause(): MediaFailure | undefined {
    return this.#cause;
  }

  /**
   * Records a failure; `worked` is whether the decoder has output pictures, and `hasSub` whether the camera has a
   * smaller stream than the one that failed. Returns whether the step has changed.
   */
  failed(failure: MediaFailure, worked: boolean, hasSub: boolean, now: number): boolean {
    if (failure === 'error' && worked) {
      this.#errors = [...this.#errors.filter((at) => now - at < ERROR_WINDOW), now];
      if (this.#errors.length < MAX_ERRORS) return false;
    }
    this.#errors = [];
    this.#cause = failure;
    const hasClimbed = this.#climbedAt !== undefined && now - this.#climbedAt < this.#wait;
    this.#wait = hasClimbed ? Math.min(MAX_RETRY, this.#wait * 2) : RETRY_AFTER;
    this.#climbedAt = undefined;
    if (this.#step !== 'sub') this.#hasSub = hasSub;
    this.#step = failure === 'refused' ? 'jpeg' : below(this.#step, this.#hasSub);
    return true;
  }

  /** How long to wait before the next step up; ms. */
  get wait(): number {
    return this.#wait;
  }

  /** Tries the next step above. */
  climb(now: number): void {
    this.#step = above(this.#step, this.#hasSub);
    this.#climbedAt = now;
  }
}

function below(step: DecoderStep, hasSub: boolean): DecoderStep {
  if (step === 'hardware') return 'software';
  return step === 'software' && hasSub ? 'sub' : 'jpeg';
}

function above(step: DecoderStep, hasSub: boolean): DecoderStep {
  if (step === 'jpeg') return hasSub ? 'sub' : 'software';
  return step === 'sub' ? 'software' : 'hardware';
}
