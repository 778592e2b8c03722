// Plays samples slightly faster or slower, without clicks between pieces: the position in the samples and the last of
// them are kept from piece to piece. The pitch changes with the rate.

/** Samples before and after a position that its value depends on. */
const BEFORE = 1;
const AFTER = 2;

export class SoundResampler {
  /** The last samples of each channel, from the one before the position on. */
  #kept: Float32Array<ArrayBuffer>[] = [];
  /** The position after the second of them. */
  #position = 0;

  /** Forgets the last piece, because the next one does not follow it. */
  reset(): void {
    this.#kept = [];
    this.#position = 0;
  }

  /**
   * Returns the samples of all channels at `rate` times their speed. The last samples of a piece come out with the next
   * one, which they are interpolated with.
   */
  process(channels: readonly Float32Array<ArrayBuffer>[], rate: number): Float32Array<ArrayBuffer>[] {
    if (this.#kept.length !== channels.length) this.reset();
    const joined = channels.map((samples, channel) => {
      const kept = this.#kept[channel] ?? samples.slice(0, BEFORE);
      const whole = new Float32Array(kept.length + samples.length);
      whole.set(kept);
      whole.set(samples, kept.length);
      return whole;
    });
    const available = (joined[0]?.length ?? 0) - BEFORE - AFTER;
    const count = Math.max(0, Math.ceil((available - this.#position) / rate));
    const start = this.#position;
    const end = start + count * rate;
    const result = joined.map((whole) => {
      const samples = new Float32Array(count);
      for (let index = 0; index < count; index++) samples[index] = interpolate(whole, start + index * rate);
      return samples;
    });
    const used = Math.floor(end);
    this.#position = end - used;
    this.#kept = joined.map((whole) => whole.slice(used));
    return result;
  }
}

/** The value between two samples, by a cubic curve through their neighbours (Catmull-Rom). */
function interpolate(samples: Float32Array, position: number): number {
  const at = Math.floor(position);
  const t = position - at;
  const b = samples[at + 1] ?? 0;
  if (t === 0) return b;
  const a = samples[at] ?? 0;
  const c = samples[at + 2] ?? 0;
  const d = samples[at + 3] ?? 0;
  return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}
