// The appearance of lines. Each shown series has a slot, an index into the appearances: first all colours as solid
// lines, then dashed, then dotted.
import type { PlotSeries } from './series-set.ts';

/** Line colours that are distinct on a light and on a dark background; the first ones also in most colour blindness. */
const LIGHT = [
  '#0a5bc4',
  '#c2410c',
  '#15803d',
  '#a21caf',
  '#0e7490',
  '#4338ca',
  '#4d7c0f',
  '#6b7280',
  '#503008',
  '#f058a8',
  '#9080f8',
  '#601068',
  '#b88800',
  '#004068',
  '#900028',
  '#0098d8',
  '#58a080',
  '#b88088',
  '#005000',
  '#c01068',
];
const DARK = [
  '#6cb2ff',
  '#ff9d5c',
  '#5fd08a',
  '#e08bf0',
  '#ffd166',
  '#5cd3e6',
  '#ff8fa3',
  '#a5a0ff',
  '#b6db5e',
  '#b8c0cc',
  '#887038',
  '#d03088',
  '#4068f0',
  '#00a000',
  '#0090a8',
  '#e85000',
  '#a858e0',
  '#b0a000',
  '#a87898',
  '#68f8c8',
];
export const COLOURS = LIGHT.length;
const STROKES = ['solid', 'dashed', 'dotted'] as const;
type Stroke = (typeof STROKES)[number];
const DASHES: Readonly<Record<Stroke, readonly number[]>> = { solid: [], dashed: [7, 4], dotted: [2, 3] };

/** Returns the colour of a slot. */
export const lineColour = (slot: number, dark: boolean): string =>
  (dark ? DARK : LIGHT)[slot % COLOURS] ?? '#888888';

export const strokeOf = (slot: number): Stroke =>
  STROKES[Math.floor(slot / COLOURS) % STROKES.length] ?? 'solid';

/** Returns the lengths of dashes and gaps in CSS pixels; empty for a solid line. */
export const dashOf = (slot: number): readonly number[] => DASHES[strokeOf(slot)];

/**
 * Gives each shown series a slot that no other shown series has. Series that were already shown keep theirs; others get
 * their previous one if it is free, or else the first free one.
 */
export function assignSlots(shown: readonly PlotSeries[], before: readonly PlotSeries[]): void {
  const kept = new Set(before);
  const taken = new Set(shown.filter((series) => kept.has(series)).map(({ slot }) => slot));
  for (const series of shown) {
    if (kept.has(series)) continue;
    if (series.slot < 0 || taken.has(series.slot)) {
      series.slot = 0;
      while (taken.has(series.slot)) series.slot++;
    }
    taken.add(series.slot);
  }
}
