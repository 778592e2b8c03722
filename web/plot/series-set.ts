// The series that a plot holds. A message changes it; the plot draws what it has.
import type { SeriesPart } from './series-message.ts';
import { Samples } from './samples.ts';

export interface PlotSeries {
  readonly id: number;
  readonly samples: Samples;
  /** Its x are times, in ms since the Unix epoch. */
  readonly timed: boolean;
  name: string;
  unit: string | undefined;
  /** Its place among the colours: no other of this plot has it. */
  readonly slot: number;
  /** How far its source's clock is off, in ms, where that is much; negative when it is behind the hub's. */
  clockOffset: number | undefined;
  /** Samples that this viewer came too late for. */
  missed: number;
}

export class SeriesSet {
  readonly #series = new Map<number, PlotSeries>();

  /** All of them, by name. */
  all(): PlotSeries[] {
    return [...this.#series.values()].sort((a, b) => a.name.localeCompare(b.name) || a.id - b.id);
  }

  get(id: number): PlotSeries | undefined {
    return this.#series.get(id);
  }

  /** Takes a message in; true when series came, went or changed their names. `anew`: it is a history, which
   * replaces all series. */
  take(parts: readonly SeriesPart[], anew: boolean): boolean {
    let changed = anew && this.#series.size > 0;
    if (anew) this.#series.clear();
    for (const part of parts) {
      if (part.gone) {
        changed = this.#series.delete(part.id) || changed;
        continue;
      }
      let series = this.#series.get(part.id);
      // One without samples may yet turn out to be either.
      if (!series || (series.samples.length === 0 && series.timed === part.xy)) {
        const samples = new Samples(!part.xy);
        const { id, name, unit, xy, clockOffset } = part;
        const slot = series?.slot ?? this.#freeSlot();
        series = { id, samples, timed: !xy, name, unit, slot, clockOffset, missed: 0 };
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
    }
    return changed;
  }

  #freeSlot(): number {
    const taken = new Set([...this.#series.values()].map(({ slot }) => slot));
    let slot = 0;
    while (taken.has(slot)) slot++;
    return slot;
  }
}
