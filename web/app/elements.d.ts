// Tells Svelte's checks of our own elements.
import type { CameraWall } from '../player/ocelli.ts';

declare module 'svelte/elements' {
  export interface SvelteHTMLElements {
    'camera-wall': {
      'bind:this'?: CameraWall;
      hub?: string | undefined;
      token?: string | undefined;
      cameras?: string | undefined;
      hidden?: boolean;
      'onwall-change'?: (event: Event) => void;
    };
  }
}
