// Texts about a camera's failures.
import { sentence } from '../client/sentence.ts';
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
  const current = reason === null ? [] : [sentence(reason)];
  if (lastFailure === null) return current;
  const when = ago(lastFailure.at, now);
  if (lastFailure.reason === reason) return [`${sentence(reason)} Last failed ${when}.`];
  return [...current, `Last failure, ${when}: ${sentence(lastFailure.reason)}`];
}
