// The canvases of a wall: one if everything fits, a few that are reused in turn if it scrolls (see `bands`).
import type { Engine } from './engine.ts';
import type { Band, Rect } from './grid.ts';
import type { Placement } from './messages.ts';

export interface PlacedTile extends Rect {
  readonly camera: string;
  readonly row: number;
}

interface WallCanvas {
  readonly canvas: HTMLCanvasElement;
  readonly surface: number;
}

export class WallSurfaces {
  readonly #engine: Engine;
  readonly #parent: HTMLElement;
  readonly #canvases = new Map<number, WallCanvas>();
  readonly #surfaceOf = new Map<string, number>();
  #arrangement = '';

  constructor(engine: Engine, parent: HTMLElement) {
    this.#engine = engine;
    this.#parent = parent;
  }

  surfaceOf(camera: string): number | undefined {
    return this.#surfaceOf.get(camera);
  }

  /** Arranges the canvases. `tiles` are in CSS pixels of the scrolled content, and `width` is its width. */
  arrange(tiles: readonly PlacedTile[], bandList: readonly Band[], width: number): void {
    const scale = window.devicePixelRatio || 1;
    const arrangement = JSON.stringify([tiles, bandList, width, scale]);
    if (arrangement === this.#arrangement) return;
    this.#arrangement = arrangement;
    this.#surfaceOf.clear();
    const used = new Set<number>();
    for (const band of bandList) {
      used.add(band.slot);
      const { canvas, surface } = this.#canvasFor(band.slot);
      canvas.style.top = `${band.top}px`;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${band.height}px`;
      const placements: Placement[] = [];
      for (const tile of tiles) {
        if (tile.row < band.firstRow || tile.row > band.lastRow) continue;
        this.#surfaceOf.set(tile.camera, surface);
        placements.push(toDevicePixels(tile, band.top, scale));
      }
      this.#engine.layout(surface, Math.round(width * scale), Math.round(band.height * scale), placements);
    }
    for (const [slot, { canvas, surface }] of this.#canvases) {
      if (used.has(slot)) continue;
      this.#engine.removeSurface(surface);
      canvas.remove();
      this.#canvases.delete(slot);
    }
  }

  clear(): void {
    this.arrange([], [], 0);
  }

  #canvasFor(slot: number): WallCanvas {
    let entry = this.#canvases.get(slot);
    if (!entry) {
      const canvas = document.createElement('canvas');
      // Hidden from screen readers: the tiles above it have the names.
      canvas.setAttribute('aria-hidden', 'true');
      this.#parent.prepend(canvas);
      entry = { canvas, surface: this.#engine.addSurface(canvas) };
      this.#canvases.set(slot, entry);
    }
    return entry;
  }
}

function toDevicePixels(tile: PlacedTile, top: number, scale: number): Placement {
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
