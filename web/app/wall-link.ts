// The token of a wall link. It is moved from the address bar to the state of the history entry, which survives a
// reload.
import { hashParameter } from './addresses.ts';

const NAME = 'wall';

export function takeWallToken(): string | undefined {
  const token = hashParameter(location.hash, NAME);
  if (token !== undefined) {
    history.replaceState({ [NAME]: token }, '', location.pathname + location.search);
    return token;
  }
  const state: unknown = history.state;
  return typeof state === 'object' && state !== null && NAME in state && typeof state[NAME] === 'string'
    ? state[NAME]
    : undefined;
}

/** Stores the token again in a history entry that has no state, because the user edited the address. */
export function restoreWallToken(token: string): void {
  if (history.state === null) history.replaceState({ [NAME]: token }, '', location.href);
}

/**
 * Whether a hash belongs to a wall link. Opening one in the same tab changes only the hash and does not load the page
 * again.
 */
export function isWallLink(hash: string): boolean {
  return hashParameter(hash, NAME) !== undefined;
}
