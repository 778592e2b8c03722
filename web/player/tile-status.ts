// What a tile says of its camera: one calm answer from everything that is known. No DOM.
import type { Camera } from '../client/events.ts';
import type { Link } from '../client/connection.ts';
import { formatAge, formatRate, isStale } from './age.ts';
import type { FallbackMode } from './fallback.ts';
import type { IconName } from './icons.ts';
import type { Picture } from './messages.ts';

export type Tone = 'live' | 'stale' | 'waiting' | 'stalled' | 'failed' | 'frozen' | 'stopped';

export interface Observed {
  readonly camera: Camera | undefined;
  readonly link: Link;
  readonly picture: Picture | undefined;
  /** The picture's age in ms. */
  readonly age: number | undefined;
  readonly frozen: boolean;
  readonly stopped: boolean;
  readonly fallback: FallbackMode | undefined;
  /** Whether the fallback has brought a picture yet. */
  readonly fallbackShows: boolean;
}

export interface TileStatus {
  readonly tone: Tone;
  readonly icon: IconName;
  /** One or two words. */
  readonly label: string;
  readonly rate: string;
  readonly age: string;
  /** The age is beyond what the camera's pace explains, and nobody asked for that. */
  readonly stale: boolean;
  /** Said large over the tile, where there is no picture to trust; empty otherwise. */
  readonly headline: string;
  readonly reason: string;
  readonly canRetry: boolean;
}

export function tileStatus(seen: Observed): TileStatus {
  const { camera, picture, age } = seen;
  const state = camera?.state ?? 'idle';
  const stale = age !== undefined && isStale(age, picture?.interval ?? 0);
  const said = {
    rate: picture && !seen.frozen && !stale ? formatRate(picture.fps) : '',
    age: age === undefined ? '' : formatAge(age),
    stale,
    headline: '',
    reason: '',
    canRetry: false,
  };
  // It stands still because somebody wants it to: however old, nothing is wrong.
  if (seen.frozen) return { ...said, stale: false, tone: 'frozen', icon: 'pause', label: 'Frozen' };
  if (!camera && seen.link === 'open') {
    const reason = 'The hub knows no such camera, or you may not see it.';
    return { ...said, tone: 'failed', icon: 'failed', label: 'Unknown', headline: 'No such camera', reason };
  }
  if (state === 'failed') {
    const reason = camera?.reason ?? 'The camera gives no picture.';
    return {
      ...said,
      tone: 'failed',
      icon: 'failed',
      label: 'Failed',
      headline: 'Failed',
      reason,
      canRetry: true,
    };
  }
  if (seen.stopped) {
    return {
      ...said,
      rate: '',
      tone: 'stopped',
      icon: 'stop',
      label: 'Stopped',
      headline: picture ? '' : 'Stopped',
    };
  }
  if (state === 'stalled') {
    const reason = camera?.reason ?? 'Connected, but no new pictures come.';
    return { ...said, tone: 'stalled', icon: 'stalled', label: 'Stalled', headline: 'Stalled', reason };
  }
  if (seen.fallback) return fallbackStatus(seen, said);
  if (!picture || age === undefined) {
    const waiting = (label: string, headline = label): TileStatus => ({
      ...said,
      tone: 'waiting',
      icon: 'waiting',
      label,
      headline,
    });
    if (seen.link !== 'open' && seen.link !== 'fallback') return waiting('Connecting');
    // Somebody watches and the hub still does nothing: it is for the camera's device to connect.
    if (seen.link === 'open' && state === 'idle') return waiting('Waiting', 'Waiting for pictures');
    return waiting('Starting');
  }
  if (stale) {
    const label = seen.link === 'open' ? 'Stale' : 'No connection';
    return { ...said, tone: 'stale', icon: 'stale', label };
  }
  if (state === 'starting') return { ...said, tone: 'waiting', icon: 'waiting', label: 'Starting' };
  return { ...said, tone: 'live', icon: 'live', label: 'Live' };
}

/** An MJPEG stream in an image does not tell how old it is; a snapshot at least when it came. */
function fallbackStatus(seen: Observed, said: Omit<TileStatus, 'tone' | 'icon' | 'label'>): TileStatus {
  if (!seen.fallbackShows) {
    return { ...said, tone: 'waiting', icon: 'waiting', label: 'Starting', headline: 'Starting' };
  }
  if (said.stale) return { ...said, tone: 'stale', icon: 'stale', label: 'Stale' };
  return { ...said, tone: 'live', icon: 'live', label: seen.fallback === 'mjpeg' ? 'MJPEG' : 'Snapshot' };
}
