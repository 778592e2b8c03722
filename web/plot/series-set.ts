// The series of a plot, updated by messages from the hub.
import type { SeriesPart } from './series-message.ts';
import { Samples } from './samples.ts';

export interface PlotSeries {
  readonly id: number;
  readonly samples: Samples;
  /** Whether x is a time, in ms since the Unix epoch. */
  readonly timed: boolean;
  name: string;
  unit: string | undefined;
  /** Its index in the palette, unique within the plot. */
  readonly slot: number;
  /** The offset of its source's clock in ms, if it is large; negative if it is behind the hub's. */
  clockOffset: number | undefined;
  /** The number of samples that this viewer missed. */
  missed: number;
}

export class SeriesSet {
  readonly #series = new Map<number, PlotSeries>();

  /** All series, sorted by name. */
  all(): PlotSeries[] {
    return [...this.#series.values()].sort((a, b) => a.name.localeCompare(b.name) || a.id - b.id);
  }

  get(id: number): PlotSeries | undefined {
    return this.#series.get(id);
  }

  /**
   * Applies a message. Returns true if series were added, deleted or renamed. `isHistory` marks a history, which
   * replaces all series.
   */
  apply(parts: readonly SeriesPart[], isHistory: boolean): boolean {
    let changed = isHistory && this.#series.size > 0;
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
