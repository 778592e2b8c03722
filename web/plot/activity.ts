// When a series received samples, and whether it has stopped. "Stopped" is relative to its own interval.
import type { Samples } from './samples.ts';

/** The minimum silence in ms after which a series has stopped. */
const MIN_SILENCE = 10_000;
/** The number of intervals without a sample after which a series has stopped. */
const MISSED_INTERVALS = 3;
/** The silence in ms after which a series has stopped whose interval is unknown. */
const DEFAULT_SILENCE = 60_000;
/** The number of intervals that are remembered. */
const REMEMBERED = 16;
/** Samples that arrive within this time in ms belong to one arrival, because a source may send in bursts. */
const BURST = 1000;

export class Activity {
  /** When the hub received the newest sample, by its clock; `undefined` if unknown. */
  receivedAt: number | undefined;
  /** The sample that arrived last. A source's clock may have been ahead before, so it need not have the greatest x. */
  newest: readonly [number, number] | undefined;
  #arrivedAt: number | undefined;
  readonly #gaps: number[] = [];

  /** Samples arrived at this page, at the hub's time `now`. */
  arrive(now: number): void {
    const before = this.#arrivedAt;
    if (before !== undefined && now - before < BURST) return;
    this.#arrivedAt = now;
    if (before === undefined) return;
    this.#gaps.push(now - before);
    if (this.#gaps.length > REMEMBERED) this.#gaps.shift();
  }

  /** Returns since when the series has stopped, or `undefined` if it has not. */
  stoppedSince(samples: Samples, timed: boolean, now: number): number | undefined {
    if (this.receivedAt === undefined) return undefined;
    const interval = Math.max(timed ? (intervalBefore(samples) ?? 0) : 0, median(this.#gaps) ?? 0);
    const silence = interval > 0 ? Math.max(MIN_SILENCE, MISSED_INTERVALS * interval) : DEFAULT_SILENCE;
    return now - this.receivedAt > silence ? this.receivedAt : undefined;
  }
}

/** Returns the usual distance in x of the newest samples; `undefined` if there is only one. */
const intervalBefore = (samples: Samples): number | undefined => spacingAt(samples, samples.length - 1);

/** Returns the usual distance in x of the samples around this index; `undefined` if there is only one. */
export function spacingAt(samples: Samples, index: number): number | undefined {
  const from = Math.max(0, Math.min(index - REMEMBERED / 2, samples.length - 1 - REMEMBERED));
  const to = Math.min(samples.length - 1, from + REMEMBERED);
  const distances: number[] = [];
  for (let at = from; at < to; at++) distances.push(Math.abs(samples.x(at + 1) - samples.x(at)));
  return median(distances);
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
