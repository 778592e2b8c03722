// Polling for components.

const PAUSE = 2_000;

/**
 * Runs `work` now and again 2 s after each run ends, but not while the page is hidden. Returns a function that stops the
 * polling.
 */
export function poll(work: () => Promise<void>): () => void {
  let timer: number | undefined;
  let ended = false;
  const round = async (): Promise<void> => {
    if (document.visibilityState === 'visible') await work();
    if (!ended) timer = window.setTimeout(() => void round(), PAUSE);
  };
  void round();
  return () => {
    ended = true;
    window.clearTimeout(timer);
  };
}
