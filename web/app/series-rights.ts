// The user's permissions for series.
import type { SeriesPermissions } from '../plot/plot.ts';

/** The app whose permissions apply to series. */
const APP = 'live';

export async function seriesRights(): Promise<SeriesPermissions> {
  try {
    const answer = await fetch('/api/v1/session');
    const { data } = (await answer.json()) as {
      data?: { permissions?: { apps?: Record<string, string[]> } };
    };
    const own = data?.permissions?.apps?.[APP] ?? [];
    return { write: own.includes('series:write'), remove: own.includes('series:delete') };
  } catch {
    // If the permissions are unknown, offer no actions.
    return { write: false, remove: false };
  }
}
