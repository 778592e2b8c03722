// What the head of the page says of all cameras together, and of the connection.
import type { Camera, Link } from '../player/ocelli.ts';

/** How many there are, and how they are: what is wrong comes first, for the end is cut where there is no room. */
export interface Summary {
  readonly total: string;
  readonly states: readonly string[];
}

export function summary(cameras: readonly Camera[], running: boolean, link: Link): Summary | undefined {
  const total = cameras.length === 1 ? '1 camera' : `${cameras.length} cameras`;
  if (cameras.length === 0) return undefined;
  // States that nobody can confirm any more are not repeated.
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

/** What a person should know about the connection; empty while all is well. */
export function notice(link: Link, listed: boolean): string {
  switch (link) {
    case 'open':
      return '';
    case 'connecting':
      return listed ? 'Connecting to the hub…' : '';
    case 'reconnecting':
      return 'The connection to the hub is lost. Reconnecting…';
    case 'fallback':
      return 'The live socket cannot be reached. Pictures come by MJPEG and snapshots; the socket is tried again and again.';
  }
}
