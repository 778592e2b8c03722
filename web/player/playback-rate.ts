// Keeps a media element close to the newest picture. No DOM. Times are in seconds.

/** The distance between the newest picture and the shown one that is aimed at: it must be decoded in the meantime. */
export const MIN_TARGET = 0.08;
export const MAX_TARGET = 0.35;
/** Further behind than this, playing faster takes too long. */
const MAX_BEHIND = 1;
/** Distances from the target at which the rate changes, and up to which it stays changed. */
const FAR_BEHIND = 0.25;
const BEHIND = 0.06;
const CLOSE = 0.015;

export type Steering = { readonly rate: number } | 'jump';

/** Returns the rate for a distance to the newest picture, or `jump` if playing faster takes too long. */
export function steer(distance: number, target: number, rate: number): Steering {
  const behind = distance - target;
  if (behind > MAX_BEHIND) return 'jump';
  if (behind > FAR_BEHIND) return { rate: 1.25 };
  if (behind > BEHIND || (behind > CLOSE && rate > 1)) return { rate: 1.1 };
  if (behind < -BEHIND || (behind < -CLOSE && rate < 1)) return { rate: 0.9 };
  return { rate: 1 };
}
