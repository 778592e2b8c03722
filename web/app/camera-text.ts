// Texts about a camera's failures.
import type { Camera } from './shapes.ts';
import { ago } from './wording.ts';

/**
 * Returns the current failure, and the last one if it differs. A camera without viewers is idle, but the reason why its
 * last attempt failed is still useful.
 */
export function failureTexts(
  { reason, lastFailure }: Pick<Camera, 'reason' | 'lastFailure'>,
  now: number,
): readonly string[] {
  if (lastFailure === null) return reason === null ? [] : [reason];
  const when = ago(lastFailure.at, now);
  if (lastFailure.reason === reason) return [`${reason} (${when})`];
  const last = `Last failure, ${when}: ${lastFailure.reason}`;
  return reason === null ? [last] : [reason, last];
}
