// The painter's host in a browser, for the worker and the page alike.
import { browserWorld } from '../client/world.ts';
import type { Host } from './painter.ts';

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
