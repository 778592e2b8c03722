// Chooses the delay of a camera's sound: the time between the capture of a sample and the moment at which it is heard. It
// is that of the picture, but no less than late units need. No DOM. Times are in ms.

/** Sound that is this much later than its last unit arrived is played without a gap, even if the next one is late. */
const MARGIN = 40;
/** How fast the memory of a late unit fades; ms per s. */
const FADE = 10;
/** A unit that is later than others by more than this is given up, instead of delaying all that follow. */
const MAX_JITTER = 300;
/** A change by more than this is one of the clocks; the first delay is a change as well. */
const CLOCK_STEP = 2_000;
/** Sound waits for its picture no longer than this: so much of it is kept. */
const MAX_WAIT = 800;
/** The weight of the newest picture in the average. */
const PICTURE_WEIGHT = 0.25;
/** A picture that differs from the average by more than this is a change, not noise. */
const PICTURE_STEP = 150;
/** After this time without pictures the sound does not wait for them. */
const PICTURE_LIFETIME = 3_000;

export class SoundDelay {
  /** How late units are: the least, and the most, each fading towards the others. */
  #least = Infinity;
  #most = 0;
  #measuredAt = 0;
  #picture: number | undefined;
  #picturedAt = 0;

  /** Records that a unit can be played, `delay` after the capture of its first sample. */
  arrived(delay: number, now: number): void {
    if (Math.abs(delay - this.#least) > CLOCK_STEP) {
      this.#least = this.#most = delay;
    } else {
      const fading = (Math.max(0, now - this.#measuredAt) * FADE) / 1000;
      this.#least = Math.min(delay, this.#least + fading);
      const most = Math.max(delay, this.#most - fading);
      this.#most = Math.min(most, this.#least + MAX_JITTER);
    }
    this.#measuredAt = now;
  }

  /** Records the age of a picture when it was painted. */
  pictured(age: number, now: number): void {
    const change = age - (this.#picture ?? Infinity);
    const isStep = Math.abs(change) > PICTURE_STEP || now - this.#picturedAt > PICTURE_LIFETIME;
    this.#picture = isStep ? age : age - (1 - PICTURE_WEIGHT) * change;
    this.#picturedAt = now;
  }

  /** The delay to aim at. `latency` is how long the browser takes from a sample to the loudspeaker. */
  target(latency: number, now: number): number {
    const least = this.#most + MARGIN + latency;
    if (this.#picture === undefined || now - this.#picturedAt > PICTURE_LIFETIME) return least;
    return Math.min(least + MAX_WAIT, Math.max(least, this.#picture));
  }
}
