// Coalesces repeated requests for the same work.

/**
 * Returns a function that requests `work`. All requests before `schedule` runs cause one run. The default schedule is the
 * end of the current turn of the event loop.
 */
export function coalesced(
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
