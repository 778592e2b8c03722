// Polling for components.

const INTERVAL = 2_000;

/**
 * Runs `work` immediately, and again 2 s after each run ends, but not while the page is hidden. Returns a function that
 * stops the polling.
 */
export function poll(work: () => Promise<void>): () => void {
  let timer: number | undefined;
  let stopped = false;
  const run = async (): Promise<void> => {
    if (document.visibilityState === 'visible') await work();
    if (!stopped) timer = window.setTimeout(() => void run(), INTERVAL);
  };
  void run();
  return () => {
    stopped = true;
    window.clearTimeout(timer);
  };
}
