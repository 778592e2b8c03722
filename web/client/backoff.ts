// Exponential backoff with jitter. The jitter prevents all viewers of a restarted hub from reconnecting at the same
// time.

const FIRST_DELAY = 250;
const MAX_DELAY = 5_000;

/** Returns the delay in ms after `failures` consecutive failures; `random` is in [0, 1). */
export function backoffDelay(failures: number, random: number): number {
  const full = Math.min(MAX_DELAY, FIRST_DELAY * 2 ** Math.min(failures, 10));
  return full * (0.5 + random / 2);
}
