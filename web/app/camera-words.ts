// What is said of a camera that does not work, or did not when it was last tried.
import type { Camera } from './shapes.ts';
import { ago } from './wording.ts';

/**
 * What is wrong now, and what went wrong last where that is something else: a camera that nobody watches is
 * idle, but what ended its last attempt is still worth knowing.
 */
export function troubleWords(
  { reason, lastFailure }: Pick<Camera, 'reason' | 'lastFailure'>,
  now: number,
): readonly string[] {
  if (lastFailure === null) return reason === null ? [] : [reason];
  const when = ago(lastFailure.at, now);
  if (lastFailure.reason === reason) return [`${reason} (${when})`];
  const last = `Last failure, ${when}: ${lastFailure.reason}`;
  return reason === null ? [last] : [reason, last];
}
