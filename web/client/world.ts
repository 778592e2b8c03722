// The real world of a connection: the browser's sockets, clock and timers. The same in a worker and in a page.
import type { Socket, World } from './connection.ts';

export const browserWorld: World = {
  openSocket: (url, protocol) => new WebSocket(url, protocol) as unknown as Socket,
  now: () => Date.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
