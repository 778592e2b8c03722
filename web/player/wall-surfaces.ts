// The canvases of a wall: one if everything fits, a few that are reused in turn if it scrolls (see `bands`).
import type { Engine } from './engine.ts';
import type { Band, Rect } from './grid.ts';
import type { Placement } from './messages.ts';

export interface Placed extends Rect {
  readonly camera: string;
  readonly row: number;
}

interface Owned {
  readonly canvas: HTMLCanvasElement;
  readonly surface: number;
}

export class WallSurfaces {
  readonly #engine: Engine;
  readonly #parent: HTMLElement;
  readonly #owned = new Map<number, Owned>();
  readonly #surfaceOf = new Map<string, number>();
  #last = '';

  constructor(engine: Engine, parent: HTMLElement) {
    this.#engine = engine;
    this.#parent = parent;
  }

  surfaceOf(camera: string): number | undefined {
    return this.#surfaceOf.get(camera);
  }

  /** Arranges the canvases. `tiles` are in CSS pixels of the scrolled content, and `width` is its width. */
  arrange(tiles: readonly Placed[], bandList: readonly Band[], width: number): void {
    const scale = window.devicePixelRatio || 1;
    const last = JSON.stringify([tiles, bandList, width, scale]);
    if (last === this.#last) return;
    this.#last = last;
    this.#surfaceOf.clear();
    const used = new Set<number>();
    for (const band of bandList) {
      used.add(band.slot);
      const { canvas, surface } = this.#own(band.slot);
      canvas.style.top = `${band.top}px`;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${band.height}px`;
      const placements: Placement[] = [];
      for (const tile of tiles) {
        if (tile.row < band.firstRow || tile.row > band.lastRow) continue;
        this.#surfaceOf.set(tile.camera, surface);
        placements.push(toDevice(tile, band.top, scale));
      }
      this.#engine.layout(surface, Math.round(width * scale), Math.round(band.height * scale), placements);
    }
    for (const [slot, { canvas, surface }] of this.#owned) {
      if (used.has(slot)) continue;
      this.#engine.removeSurface(surface);
      canvas.remove();
      this.#owned.delete(slot);
    }
  }

  clear(): void {
    this.arrange([], [], 0);
  }

  #own(slot: number): Owned {
    let owned = this.#owned.get(slot);
    if (!owned) {
      const canvas = document.createElement('canvas');
      // Hidden from screen readers: the tiles above it have the names.
      canvas.setAttribute('aria-hidden', 'true');
      this.#parent.prepend(canvas);
      owned = { canvas, surface: this.#engine.addSurface(canvas) };
      this.#owned.set(slot, owned);
    }
    return owned;
  }
}

function toDevice(tile: Placed, top: number, scale: number): Placement {
  const x = Math.round(tile.x * scale);
  const y = Math.round((tile.y - top) * scale);
  return {
    camera: tile.camera,
    x,
    y,
    // The size is computed from the rounded far edge, so that neighbours neither overlap nor leave a gap.
    width: Math.round((tile.x + tile.width) * scale) - x,
    height: Math.round((tile.y - top + tile.height) * scale) - y,
  };
}
