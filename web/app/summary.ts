// The texts in the page header: the combined state of all cameras, and the state of the connection.
import type { Camera, Link } from '../player/ocelli.ts';

/** The number of cameras and their states. Failures come first, because the end is cut off on narrow screens. */
export interface Summary {
  readonly total: string;
  readonly states: readonly string[];
}

export function summary(cameras: readonly Camera[], running: boolean, link: Link): Summary | undefined {
  const total = cameras.length === 1 ? '1 camera' : `${cameras.length} cameras`;
  if (cameras.length === 0) return undefined;
  // Without a connection the last states may be outdated.
  if (link === 'reconnecting' || link === 'connecting') return { total, states: ['not connected'] };
  const states: string[] = [];
  const failed = cameras.filter(({ state }) => state === 'failed').length;
  const stalled = cameras.filter(({ state }) => state === 'stalled').length;
  const live = cameras.filter(({ state }) => state === 'live').length;
  if (failed > 0) states.push(`${failed} failed`);
  if (stalled > 0) states.push(`${stalled} stalled`);
  states.push(running ? `${live} live` : 'stopped');
  return { total, states };
}

/** Returns the notice about the connection; empty while it works. */
export function notice(link: Link, listed: boolean): string {
  switch (link) {
    case 'open':
      return '';
    case 'connecting':
      return listed ? 'Connecting to the hub…' : '';
    case 'reconnecting':
      return 'The connection to the hub was lost. Reconnecting…';
    case 'fallback':
      return 'The live connection is blocked, so pictures may be slower (MJPEG and snapshots). Ocelli keeps trying to connect.';
  }
}
