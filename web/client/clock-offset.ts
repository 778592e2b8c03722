// How far the hub's clock is ahead of ours, learnt from pings. Without it, ages would be wrong across machines.

interface Sample {
  readonly roundTrip: number;
  readonly offset: number;
}

const WINDOW = 8;
/** Beyond what two round trips can explain, one of the clocks was set; ms. */
const JUMP_TOLERANCE = 20;

export class ClockOffset {
  #samples: Sample[] = [];

  /** A pong: `sent` and `received` by our clock in ms, `hubTime` by the hub's in µs. */
  add(sent: number, received: number, hubTime: number): void {
    const roundTrip = received - sent;
    // Our own clock was set back while the ping was under way: the sample says nothing.
    if (!(roundTrip >= 0)) return;
    const sample = { roundTrip, offset: hubTime / 1000 - (sent + received) / 2 };
    const best = this.#best;
    if (best) {
      const explained = (best.roundTrip + roundTrip) / 2 + JUMP_TOLERANCE;
      if (Math.abs(best.offset - sample.offset) > explained) this.#samples = [];
    }
    this.#samples.push(sample);
    if (this.#samples.length > WINDOW) this.#samples.shift();
  }

  reset(): void {
    this.#samples = [];
  }

  /** µs to add to our clock to get the hub's: from the fastest recent round trip, which is off by least. */
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
