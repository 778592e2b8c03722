// Derives a tile's status text from the camera's state, the link and the picture. No DOM.
import type { Camera } from '../client/events.ts';
import { sentence } from '../client/sentence.ts';
import type { Link } from '../client/connection.ts';
import { formatAge, formatRate, isStale } from './age.ts';
import { codecName, formatSize, pictureReason } from './codec-text.ts';
import type { FallbackMode } from './fallback.ts';
import type { IconName } from './icons.ts';
import type { Lowered, Picture } from './messages.ts';
import { loweredText } from './quality.ts';

export type Tone = 'live' | 'reduced' | 'stale' | 'waiting' | 'stalled' | 'failed' | 'frozen' | 'stopped';

export interface Observed {
  readonly camera: Camera | undefined;
  readonly link: Link;
  readonly picture: Picture | undefined;
  /** The picture's age in ms. */
  readonly age: number | undefined;
  readonly frozen: boolean;
  readonly stopped: boolean;
  /** Whether this viewer has lately been too slow for the camera's video. */
  readonly lagging: boolean;
  /** What is shown instead of the stream that suits the picture. */
  readonly lowered?: Lowered | undefined;
  readonly fallback: FallbackMode | undefined;
  /** Whether the fallback has loaded a picture. */
  readonly fallbackHasPicture: boolean;
}

export interface TileStatus {
  readonly tone: Tone;
  readonly icon: IconName;
  /** A few words. */
  readonly label: string;
  /** The codec and the size of the picture. */
  readonly codec: string;
  readonly size: string;
  /** Why the picture is not native video, as a phrase that follows the codec; empty if it is. */
  readonly codecReason: string;
  readonly rate: string;
  readonly age: string;
  /** Whether the picture is too old for the camera's rate and not frozen. */
  readonly stale: boolean;
  /** Shown large over the tile if there is no current picture; empty otherwise. */
  readonly headline: string;
  readonly reason: string;
  readonly canRetry: boolean;
}

export function tileStatus(observed: Observed): TileStatus {
  const { camera, picture, age } = observed;
  const state = camera?.state ?? 'idle';
  const stale = age !== undefined && isStale(age, picture?.interval ?? 0);
  const base = {
    codec: picture ? codecName(picture.codec) : '',
    size: picture ? formatSize(picture) : '',
    codecReason: picture ? pictureReason(picture) : '',
    rate: picture && !observed.frozen && !stale ? formatRate(picture.fps) : '',
    age: age === undefined ? '' : formatAge(age),
    stale,
    headline: '',
    reason: '',
    canRetry: false,
  };
  // A frozen picture is never stale, because the user froze it.
  if (observed.frozen) return { ...base, stale: false, tone: 'frozen', icon: 'pause', label: 'Frozen' };
  if (!camera && observed.link === 'open') {
    const reason = 'This camera does not exist, or you have no access to it. Check its name, or sign in.';
    return {
      ...base,
      tone: 'failed',
      icon: 'failed',
      label: 'Unknown',
      headline: 'Camera not found',
      reason,
    };
  }
  if (state === 'failed') {
    const reason = sentence(camera?.reason ?? 'The camera sends no pictures.');
    return {
      ...base,
      tone: 'failed',
      icon: 'failed',
      label: 'Failed',
      headline: 'Failed',
      reason,
      canRetry: true,
    };
  }
  if (observed.stopped) {
    return {
      ...base,
      rate: '',
      tone: 'stopped',
      icon: 'stop',
      label: 'Stopped',
      headline: picture ? '' : 'Stopped',
    };
  }
  if (state === 'stalled') {
    const reason = sentence(camera?.reason ?? 'The camera is connected but sends no new pictures.');
    return { ...base, tone: 'stalled', icon: 'stalled', label: 'Stalled', headline: 'Stalled', reason };
  }
  if (observed.fallback) return fallbackStatus(observed, base);
  if (!picture || age === undefined) {
    const waiting = (label: string, headline = label): TileStatus => ({
      ...base,
      tone: 'waiting',
      icon: 'waiting',
      label,
      headline,
    });
    if (observed.link !== 'open' && observed.link !== 'fallback') return waiting('Connecting');
    // Idle although it is watched: the hub is waiting for the device to connect.
    if (observed.link === 'open' && state === 'idle') return waiting('Waiting', 'Waiting for pictures');
    return waiting('Starting');
  }
  const lowered = observed.lowered ? loweredText(observed.lowered) : '';
  const slow = lowered || (picture.isDecoderSlow ? 'Slow device' : 'Slow network');
  // What a media element leaves out, the hub does not notice.
  const isSlow = observed.lagging || picture.isSkipping === true;
  if (stale) {
    const label = observed.link !== 'open' ? 'No connection' : isSlow || lowered ? slow : 'Stale';
    return { ...base, tone: 'stale', icon: 'stale', label };
  }
  if (state === 'starting') return { ...base, tone: 'waiting', icon: 'waiting', label: 'Starting' };
  if (isSlow) return { ...base, tone: 'stalled', icon: 'stalled', label: slow };
  if (lowered !== '') return { ...base, tone: 'reduced', icon: 'live', label: lowered };
  return { ...base, tone: 'live', icon: 'live', label: 'Live' };
}

/** The status in the fallback. The age of an MJPEG stream is unknown; that of a snapshot counts from its arrival. */
function fallbackStatus(observed: Observed, base: Omit<TileStatus, 'tone' | 'icon' | 'label'>): TileStatus {
  if (!observed.fallbackHasPicture) {
    return { ...base, tone: 'waiting', icon: 'waiting', label: 'Starting', headline: 'Starting' };
  }
  if (base.stale) return { ...base, tone: 'stale', icon: 'stale', label: 'Stale' };
  return { ...base, tone: 'live', icon: 'live', label: observed.fallback === 'mjpeg' ? 'MJPEG' : 'Snapshot' };
}
