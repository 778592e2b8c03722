// The token of a wall's link. It leaves the address bar at once; the history entry keeps it, so that a reload does too.
import { secretIn } from './addresses.ts';

const NAME = 'wall';

export function takeWallToken(): string | undefined {
  const token = secretIn(location.hash, NAME);
  if (token !== undefined) {
    history.replaceState({ [NAME]: token }, '', location.pathname + location.search);
    return token;
  }
  const state: unknown = history.state;
  return typeof state === 'object' && state !== null && NAME in state && typeof state[NAME] === 'string'
    ? state[NAME]
    : undefined;
}

/** For an entry that the address bar has made, which has no state. */
export function keepWallToken(token: string): void {
  if (history.state === null) history.replaceState({ [NAME]: token }, '', location.href);
}

/** Another link into the same tab is no new page by itself. */
export function isWallLink(hash: string): boolean {
  return secretIn(hash, NAME) !== undefined;
}
