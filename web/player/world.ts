// The real world of a connection: the browser's sockets, clock and timers. The same in a worker and in a page.
import type { Socket, World } from '../client/connection.ts';
import type { Host } from './painter.ts';

export const browserWorld: World = {
  openSocket: (url, protocol) => new WebSocket(url, protocol) as unknown as Socket,
  now: () => Date.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

export function browserHost(post: Host['post']): Host {
  return {
    world: browserWorld,
    post,
    nextPaint(callback) {
      // Some workers paint on canvases but have no animation frames.
      if (typeof requestAnimationFrame === 'function') requestAnimationFrame(callback);
      else setTimeout(callback, 16);
    },
  };
}
