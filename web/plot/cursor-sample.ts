// The sample of a series that the legend shows for the cursor.
import { spacingAt } from './activity.ts';
import type { Samples } from './samples.ts';

/** A sample further away than this many of the intervals around it is not at the cursor. */
const MAX_INTERVALS = 3;

/**
 * Returns the index of the sample nearest to this x. Returns `undefined` if it is further away than `tolerance` and than
 * a few samples: the series has a pause there, or has not begun or has ended.
 */
export function sampleNear(samples: Samples, x: number, tolerance: number): number | undefined {
  const index = samples.nearest(x);
  if (index === undefined) return undefined;
  const spacing = spacingAt(samples, index) ?? 0;
  return Math.abs(samples.x(index) - x) <= Math.max(tolerance, MAX_INTERVALS * spacing) ? index : undefined;
}
