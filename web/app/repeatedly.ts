// Looking again and again, while somebody can see it.

const PAUSE = 2_000;

/** Does it now, and again 2 s after each end; not while the page is hidden. Gives what ends it. */
export function repeatedly(work: () => Promise<void>): () => void {
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
