// How long to wait before the next attempt. The jitter keeps a hundred viewers of a restarted hub from
// knocking at the same instant.

const FIRST = 250;
const LONGEST = 5_000;

/** ms before the attempt after `failures` failures in a row; `random` is in [0, 1). */
export function backoffDelay(failures: number, random: number): number {
  const full = Math.min(LONGEST, FIRST * 2 ** Math.min(failures, 10));
  return full * (0.5 + random / 2);
}
