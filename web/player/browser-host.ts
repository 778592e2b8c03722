// The painter's host in a browser, for both the worker and the page.
import { browserPlatform } from '../client/browser-platform.ts';
import type { Host } from './painter.ts';
import { browserVideo } from './video-platform.ts';

export function browserHost(post: Host['post']): Host {
  return {
    platform: browserPlatform,
    video: browserVideo(),
    post,
    nextPaint(callback) {
      // Some browsers have no animation frames in workers that can paint on canvases.
      if (typeof requestAnimationFrame === 'function') requestAnimationFrame(callback);
      else setTimeout(callback, 16);
    },
  };
}
