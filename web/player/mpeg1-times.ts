// Derives the capture time of the MPEG-1 picture on the screen. The stream has no times; the hub reports now and then how
// old the newest picture is that it has sent.

/** All times in ms by the local clock. */
export class Mpeg1Times {
  #paintedAt = 0;
  /** From capture to painting. */
  #delay = 0;

  /** Called when a picture has been painted. */
  painted(now: number): void {
    this.#paintedAt = now;
  }

  /**
   * Called with the age of the newest picture sent. That picture was painted before the report arrived, and in a stall
   * long before: its age on the screen is not part of the delay.
   */
  reported(age: number, now: number): void {
    this.#delay = Math.max(0, age - (now - this.#paintedAt));
  }

  /** The age of the newest picture when it was painted. */
  get paintedAge(): number {
    return this.#delay;
  }

  get capturedAt(): number {
    return this.#paintedAt - this.#delay;
  }
}
