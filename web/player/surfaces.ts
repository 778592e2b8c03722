// The canvases of the painter: where each camera's picture is painted.
import { contain } from './grid.ts';
import type { Pixels, Placement } from './messages.ts';

type Context = OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D;

/** A picture that can be painted, with its size in square pixels. */
export interface Painting {
  /** Undefined if an element above the canvas shows the picture. */
  readonly image: ImageBitmap | VideoFrame | undefined;
  readonly width: number;
  readonly height: number;
}

interface Surface {
  readonly canvas: OffscreenCanvas | HTMLCanvasElement;
  readonly context: Context;
  width: number;
  height: number;
  placements: readonly Placement[];
  /** Whether everything must be painted again at the size above. */
  stale: boolean;
}

/** The colour around a picture whose aspect ratio differs from its tile's. */
const LETTERBOX = '#0c0f13';
const DEFAULT_ASPECT = 16 / 9;

export class Surfaces {
  #surfaces = new Map<number, Surface>();

  add(id: number, canvas: OffscreenCanvas | HTMLCanvasElement): void {
    const context: Context | null =
      'convertToBlob' in canvas ? canvas.getContext('2d') : canvas.getContext('2d');
    if (!context) return;
    this.#surfaces.set(id, { canvas, context, width: 0, height: 0, placements: [], stale: true });
  }

  layout(id: number, layout: Pick<Surface, 'width' | 'height' | 'placements'>): void {
    const surface = this.#surfaces.get(id);
    if (!surface) return;
    const { width, height, placements } = layout;
    Object.assign(surface, { width, height, placements, stale: true });
  }

  remove(id: number): void {
    this.#surfaces.delete(id);
  }

  clear(): void {
    this.#surfaces.clear();
  }

  /** Whether any surface shows the camera. */
  shows(camera: string): boolean {
    for (const { placements } of this.#surfaces.values())
      if (placements.some((placement) => placement.camera === camera)) return true;
    return false;
  }

  /** The width of the camera's largest picture, in device pixels. */
  widthOf(camera: string, aspect = DEFAULT_ASPECT): number {
    let width = 0;
    for (const { placements } of this.#surfaces.values())
      for (const placement of placements)
        if (placement.camera === camera)
          width = Math.max(width, Math.min(placement.width, placement.height * aspect));
    return width;
  }

  /** Paints the cameras that `isNew` returns true for, and everything on surfaces that changed. */
  paint(paintingOf: (camera: string) => Painting | undefined, isNew: (camera: string) => boolean): void {
    for (const surface of this.#surfaces.values()) paintSurface(surface, paintingOf, isNew);
  }

  /** Returns the painted pixels of a camera's picture, without the letterbox. */
  read(id: number, camera: string, painting: Painting | undefined): Pixels | undefined {
    const surface = this.#surfaces.get(id);
    const placement = surface?.placements.find((candidate) => candidate.camera === camera);
    if (!surface || !placement || !painting?.image || surface.stale) return undefined;
    const { x, y, width, height } = contain(placement, painting.width, painting.height);
    const { data } = surface.context.getImageData(x, y, width, height);
    return { width, height, data };
  }
}

function paintSurface(
  surface: Surface,
  paintingOf: (camera: string) => Painting | undefined,
  isNew: (camera: string) => boolean,
): void {
  const { canvas, context, placements } = surface;
  const all = surface.stale;
  if (all) {
    surface.stale = false;
    if (canvas.width !== surface.width) canvas.width = surface.width;
    if (canvas.height !== surface.height) canvas.height = surface.height;
    context.clearRect(0, 0, canvas.width, canvas.height);
  }
  context.fillStyle = LETTERBOX;
  for (const placement of placements) {
    if (!all && !isNew(placement.camera)) continue;
    const painting = paintingOf(placement.camera);
    // What is below the element stays until the element covers it.
    if (painting && !painting.image && !all) continue;
    context.fillRect(placement.x, placement.y, placement.width, placement.height);
    if (!painting?.image) continue;
    const at = contain(placement, painting.width, painting.height);
    try {
      context.drawImage(painting.image, at.x, at.y, at.width, at.height);
    } catch {
      // A picture that the browser has taken back costs only itself.
    }
  }
}
