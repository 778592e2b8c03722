// The user's permissions for series.
import type { SeriesPermissions } from '../plot/plot.ts';

/** The app whose permissions apply to series. */
const APP = 'live';

export async function seriesPermissions(): Promise<SeriesPermissions> {
  try {
    const response = await fetch('/api/v1/session');
    const { data } = (await response.json()) as {
      data?: { permissions?: { apps?: Record<string, string[]> } };
    };
    const granted = data?.permissions?.apps?.[APP] ?? [];
    return { write: granted.includes('series:write'), remove: granted.includes('series:delete') };
  } catch {
    // If the permissions are unknown, offer no actions.
    return { write: false, remove: false };
  }
}
