// What whoever opened the page may do with series.
import type { May } from '../plot/plot.ts';

/** The app whose rules hold for series. */
const APP = 'live';

export async function seriesRights(): Promise<May> {
  try {
    const answer = await fetch('/api/v1/session');
    const { data } = (await answer.json()) as {
      data?: { permissions?: { apps?: Record<string, string[]> } };
    };
    const own = data?.permissions?.apps?.[APP] ?? [];
    return { write: own.includes('series:write'), remove: own.includes('series:delete') };
  } catch {
    // Whoever can't be told what they may do is offered nothing.
    return { write: false, remove: false };
  }
}
