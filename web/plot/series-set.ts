// The series of a plot, updated by messages from the hub.
import { Activity } from './activity.ts';
import { HubClock } from './hub-clock.ts';
import type { SeriesPart } from './series-message.ts';
import { byName } from './natural-order.ts';
import { Samples } from './samples.ts';
import { MAX_TIME } from './window.ts';

export interface PlotSeries {
  readonly id: number;
  readonly samples: Samples;
  /** Whether x is a time, in ms since the Unix epoch. */
  readonly timed: boolean;
  name: string;
  unit: string | undefined;
  /** Its appearance, unique among the shown series; -1 before it is shown. */
  slot: number;
  readonly activity: Activity;
  /** Since when it has stopped, in ms since the Unix epoch by the hub's clock; `undefined` if it has not. */
  stoppedSince: number | undefined;
  /** The offset of its source's clock in ms, if it is large; negative if it is behind the hub's. */
  clockOffset: number | undefined;
  /** The number of samples that this viewer missed. */
  missed: number;
}

/** A message with more samples may be incomplete, and continue in the next one. */
const MAX_COMPLETE = 50_000;

export class SeriesSet {
  readonly #series = new Map<number, PlotSeries>();
  readonly #clock = new HubClock();

  /** All series in natural order of their names. */
  all(): PlotSeries[] {
    return [...this.#series.values()].sort((a, b) => byName(a.name, b.name) || a.id - b.id);
  }

  /** When the hub received the newest sample of all series, by its clock. */
  get receivedAt(): number | undefined {
    const times = [...this.#series.values()].flatMap(({ activity }) => activity.receivedAt ?? []);
    return times.length === 0 ? undefined : Math.max(...times);
  }

  get(id: number): PlotSeries | undefined {
    return this.#series.get(id);
  }

  /**
   * Applies a message that arrived at the page's time `now`. Returns true if series were added, deleted or renamed.
   * `isHistory` marks a history, which replaces all series.
   */
  apply(parts: readonly SeriesPart[], isHistory: boolean, now: number): boolean {
    const isComplete = isHistory || parts.reduce((sum, { points }) => sum + points.length, 0) < MAX_COMPLETE;
    let changed = isHistory && this.#series.size > 0;
    const before = new Map(isHistory ? this.#series : []);
    if (isHistory) this.#series.clear();
    for (const part of parts) {
      if (part.gone) {
        changed = this.#series.delete(part.id) || changed;
        continue;
      }
      let series = this.#series.get(part.id);
      // The kind of a series without samples may still change.
      if (!series || (series.samples.length === 0 && series.timed === part.xy)) {
        const samples = new Samples(!part.xy);
        const { id, name, unit, xy, clockOffset } = part;
        const slot = series?.slot ?? before.get(id)?.slot ?? -1;
        const activity = new Activity();
        const state = { clockOffset, missed: 0, activity, stoppedSince: undefined };
        series = { id, samples, timed: !xy, name, unit, slot, ...state };
        this.#series.set(part.id, series);
        changed = true;
      } else if (series.name !== part.name || series.unit !== part.unit) {
        series.name = part.name;
        series.unit = part.unit;
        changed = true;
      }
      series.clockOffset = part.clockOffset;
      series.missed += part.gap;
      series.samples.add(part.points);
      this.#note(series, part, isHistory, isComplete, now);
    }
    return changed;
  }

  /** Updates which series have stopped, at the page's time `now`. */
  updateStopped(now: number): void {
    const time = this.#clock.now(now);
    for (const series of this.#series.values())
      series.stoppedSince = series.activity.stoppedSince(series.samples, series.timed, time);
  }

  /** Notes when the samples of a part arrived. */
  #note(series: PlotSeries, part: SeriesPart, isHistory: boolean, isComplete: boolean, now: number): void {
    const newest = part.points.at(-1);
    if (newest === undefined) return;
    const { activity, timed } = series;
    const [x] = newest;
    activity.newest = newest;
    if (timed && Math.abs(x) <= MAX_TIME) {
      // The offset is that of the series' newest sample, which an incomplete message may not have.
      if (isComplete || part.clockOffset === undefined) {
        activity.receivedAt = x - (part.clockOffset ?? 0);
        this.#clock.observe(activity.receivedAt, now, isHistory);
      }
    } else if (!isHistory) {
      activity.receivedAt = this.#clock.now(now);
    }
    if (!isHistory) activity.arrive(this.#clock.now(now));
  }
}
