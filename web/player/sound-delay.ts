// Chooses the delay of a camera's sound: the time between the capture of a sample and the moment at which it is heard. It
// is that of the picture, but no less than late units need. No DOM. Times are in ms.

/** Sound is played this much later than the latest unit needs, so that one which is a little later causes no gap. */
const MARGIN = 15;
/** How fast the memory of a late unit fades: ms per s, and the part of its lateness per s. */
const FADE = 10;
const FADE_PART = 0.3;
/** A unit that is later than others by more than this is given up, instead of delaying all that follow. */
const MAX_JITTER = 150;
/** A change by more than this is one of the clocks; the first delay is a change as well. */
const CLOCK_STEP = 2_000;
/** To wait for late units, sound is no later than its picture by more than this. A gap is better than that. */
const MAX_LAG = 60;
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

  /**
   * Records that a unit can be played, `delay` after the capture of its first sample. `follows` is whether nothing is
   * missing before it: otherwise the camera or its clock may be another one.
   */
  arrived(delay: number, now: number, follows = true): void {
    if (!follows || Math.abs(delay - this.#least) > CLOCK_STEP) {
      this.#least = this.#most = delay;
    } else {
      const seconds = Math.max(0, now - this.#measuredAt) / 1000;
      const fading = seconds * (FADE + FADE_PART * (this.#most - this.#least));
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
    const needed = this.#most + MARGIN + latency;
    if (this.#picture === undefined || now - this.#picturedAt > PICTURE_LIFETIME) return needed;
    const least = this.#least + MARGIN + latency;
    const latest = Math.max(least, this.#picture + MAX_LAG);
    return Math.min(least + MAX_WAIT, Math.max(this.#picture, Math.min(needed, latest)));
  }
}
