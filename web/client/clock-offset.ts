// Estimates the offset between the hub's clock and the local clock from pings. Without it, ages would be wrong if the
// clocks of the two machines differ.

interface Sample {
  readonly roundTrip: number;
  readonly offset: number;
}

const WINDOW = 8;
/** In ms. If two offsets differ by more than their round trips plus this, one of the clocks was adjusted. */
const JUMP_TOLERANCE = 20;

export class ClockOffset {
  #samples: Sample[] = [];

  /** Adds a pong: `sent` and `received` are in ms by the local clock, `hubTime` is in µs by the hub's. */
  add(sent: number, received: number, hubTime: number): void {
    const roundTrip = received - sent;
    // The local clock was set back during the round trip: the sample is invalid.
    if (!(roundTrip >= 0)) return;
    const sample = { roundTrip, offset: hubTime / 1000 - (sent + received) / 2 };
    const best = this.#best;
    if (best) {
      const tolerance = (best.roundTrip + roundTrip) / 2 + JUMP_TOLERANCE;
      if (Math.abs(best.offset - sample.offset) > tolerance) this.#samples = [];
    }
    this.#samples.push(sample);
    if (this.#samples.length > WINDOW) this.#samples.shift();
  }

  reset(): void {
    this.#samples = [];
  }

  /**
   * µs to add to the local clock to get the hub's, from the fastest recent round trip, which has the smallest error.
   */
  get microseconds(): number {
    return (this.#best?.offset ?? 0) * 1000;
  }

  /** The fastest recent round trip in ms; `undefined` before the first pong. */
  get roundTrip(): number | undefined {
    return this.#best?.roundTrip;
  }

  get #best(): Sample | undefined {
    let best: Sample | undefined;
    for (const sample of this.#samples) if (!best || sample.roundTrip < best.roundTrip) best = sample;
    return best;
  }
}
