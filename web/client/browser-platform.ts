// The platform of a connection in a browser: its sockets, clock and timers. The same in a worker and in a page.
import type { Socket, Platform } from './connection.ts';

export const browserPlatform: Platform = {
  openSocket: (url, protocol) => new WebSocket(url, protocol) as unknown as Socket,
  now: () => Date.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
