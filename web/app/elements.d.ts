// Types of our custom elements for svelte-check.
import type { CameraTile, CameraWall } from '../player/ocelli.ts';
import type { SeriesPlot } from '../plot/plot.ts';

declare module 'svelte/elements' {
  export interface SvelteHTMLElements {
    'camera-tile': {
      'bind:this'?: CameraTile;
      camera: string;
      stream?: string;
      sound?: string;
      hub?: string;
    };
    'series-plot': {
      'bind:this'?: SeriesPlot;
      hub?: string;
      'onplot-cursor'?: (event: Event) => void;
    };
    'camera-wall': {
      'bind:this'?: CameraWall;
      hub?: string | undefined;
      token?: string | undefined;
      cameras?: string | undefined;
      sound?: string | undefined;
      hidden?: boolean;
      'onwall-change'?: (event: Event) => void;
    };
  }
}
