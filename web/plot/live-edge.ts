// The newest time that a plot shows while it follows the samples. It is the hub's clock, not that of the source whose
// clock is ahead most.

export interface Followed {
  /** The greatest x. */
  readonly last: number;
  /** The x of the sample that arrived last. */
  readonly newest: number;
  readonly stopped: boolean;
}

/**
 * Samples that are ahead of the hub's clock by less than this time in ms are shown. The hub does not report smaller
 * offsets than 2 s.
 */
const TOLERANCE = 3000;

/**
 * Returns the newest time to show. `received` is when the hub received the newest sample of all series, and `span` the
 * shown time.
 */
export function liveEdge(series: readonly Followed[], received: number | undefined, span: number): number {
  const last = Math.max(...series.map((followed) => followed.last));
  if (received === undefined) return last;
  const edge = received + TOLERANCE;
  // A series whose clock is right, or behind by less than the shown time, is in view.
  if (series.some(({ newest }) => newest <= edge && newest > edge - span)) return Math.min(last, edge);
  // Otherwise all would be out of view. Follow the one with the best clock, preferably one that still sends.
  const active = series.filter(({ stopped }) => !stopped);
  const followed = (active.length > 0 ? active : series).map(({ newest }) => newest);
  return followed.reduce((best, newest) =>
    Math.abs(newest - received) < Math.abs(best - received) ? newest : best,
  );
}
