// What the head of the page says of all cameras together, and of the connection.
import type { Camera, Link } from '../player/ocelli.ts';

export function summary(cameras: readonly Camera[], running: boolean, link: Link): string {
  const count = cameras.length === 1 ? '1 camera' : `${cameras.length} cameras`;
  if (cameras.length === 0) return '';
  // States that nobody can confirm any more are not repeated.
  if (link === 'reconnecting' || link === 'connecting') return `${count} · not connected`;
  const parts = [count];
  if (!running) parts.push('stopped');
  const failed = cameras.filter(({ state }) => state === 'failed').length;
  const stalled = cameras.filter(({ state }) => state === 'stalled').length;
  const live = cameras.filter(({ state }) => state === 'live').length;
  if (running) parts.push(`${live} live`);
  if (stalled > 0) parts.push(`${stalled} stalled`);
  if (failed > 0) parts.push(`${failed} failed`);
  return parts.join(' · ');
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
