// Work that is asked for many times over and done once.

/**
 * What asks for `work`: it is done when `schedule` comes to it, at the end of the turn by default, once for all that
 * asked until then.
 */
export function gathered(
  work: () => void,
  schedule: (work: () => void) => unknown = queueMicrotask,
): () => void {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    schedule(() => {
      due = false;
      work();
    });
  };
}
