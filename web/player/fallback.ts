// Pictures without the socket: MJPEG for a few cameras, snapshots for the others. Browsers open about six
// connections per origin and an MJPEG stream occupies one permanently, so six streams would block all other requests
// of the page.
import type { StreamChoice } from '../client/events.ts';
import type { HubAddress } from '../client/hub-address.ts';

export type FallbackMode = 'mjpeg' | 'snapshot';

const STREAMS = 4;
const SNAPSHOT_INTERVAL = 1_000;
const RETRY_INTERVAL = 2_000;

export interface FallbackRequest {
  readonly camera: string;
  readonly stream: StreamChoice;
  /** The parent element of the image. */
  readonly parent: HTMLElement;
  /** Whether it gets an MJPEG stream before others, because it has focus. */
  readonly preferred: boolean;
  readonly frozen: boolean;
}

export class FallbackPlan {
  readonly #address: HubAddress;
  readonly #pictures = new Set<FallbackPicture>();

  constructor(address: HubAddress) {
    this.#address = address;
  }

  /**
   * Returns the picture of one tile: the existing one, a new one, or `undefined`. Call `assign` after all tiles are
   * updated.
   */
  show(
    picture: FallbackPicture | undefined,
    request: FallbackRequest | undefined,
  ): FallbackPicture | undefined {
    const existing = picture?.removed === false ? picture : undefined;
    // A frozen tile keeps its image or the picture painted before the fallback.
    if (request?.frozen) {
      existing?.hold();
      return existing;
    }
    if (existing && existing.stream === request?.stream) {
      existing.preferred = request.preferred;
      existing.release();
      return existing;
    }
    existing?.remove();
    if (!request) return undefined;
    const added: FallbackPicture = new FallbackPicture(this.#address, request, () =>
      this.#pictures.delete(added),
    );
    this.#pictures.add(added);
    return added;
  }

  /** Assigns MJPEG to preferred pictures first, then in order of their creation, and snapshots to the others. */
  assign(): void {
    const playing = [...this.#pictures].filter(({ held }) => !held);
    const ordered = playing.sort((a, b) => Number(b.preferred) - Number(a.preferred));
    // End streams before starting others, so that the limit is never exceeded.
    ordered.slice(STREAMS).forEach((picture) => picture.play('snapshot'));
    ordered.slice(0, STREAMS).forEach((picture) => picture.play('mjpeg'));
  }

  clear(): void {
    for (const picture of [...this.#pictures]) picture.remove();
  }
}

export class FallbackPicture {
  mode: FallbackMode | undefined;
  removed = false;
  preferred: boolean;
  readonly stream: StreamChoice;
  readonly #image = document.createElement('img');
  readonly #address: HubAddress;
  readonly #camera: string;
  readonly #parent: HTMLElement;
  readonly #onRemove: () => void;
  #still: HTMLCanvasElement | undefined;
  #heldAt = 0;
  #requestedAt = 0;
  #loadedAt: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(address: HubAddress, request: FallbackRequest, onRemove: () => void) {
    this.#address = address;
    this.#camera = request.camera;
    this.#parent = request.parent;
    this.#onRemove = onRemove;
    this.stream = request.stream;
    this.preferred = request.preferred;
    this.#image.alt = '';
    this.#image.className = 'empty';
    this.#image.onload = () => this.#loaded();
    this.#image.onerror = () => this.#scheduleLoad(RETRY_INTERVAL);
    this.#parent.append(this.#image);
  }

  /** Whether the picture is frozen. A frozen picture makes no requests. */
  get held(): boolean {
    return this.#still !== undefined;
  }

  /** ms since the picture was loaded. Unknown for an MJPEG stream that is not held. */
  age(): number | undefined {
    const since = this.held ? (this.#loadedAt ?? this.#heldAt) : this.#loadedAt;
    return since === undefined || (this.mode === 'mjpeg' && !this.held) ? undefined : Date.now() - since;
  }

  hold(): void {
    if (this.#still) return;
    this.#still = document.createElement('canvas');
    this.#still.width = this.#image.naturalWidth;
    this.#still.height = this.#image.naturalHeight;
    this.#still.getContext('2d')?.drawImage(this.#image, 0, 0);
    this.#parent.append(this.#still);
    this.#heldAt = Date.now();
    if (this.mode === 'mjpeg') this.#loadedAt = undefined;
    clearTimeout(this.#timer);
    this.#image.removeAttribute('src');
  }

  release(): void {
    if (!this.#still) return;
    this.#still.remove();
    this.#still = undefined;
    this.mode = undefined;
  }

  /** Whether a picture is visible. Not every browser fires `load` for MJPEG. Hides the browser's broken-image icon. */
  isShowing(): boolean {
    if (this.held) return true;
    const isShowing = this.#image.naturalWidth > 0;
    this.#image.classList.toggle('empty', !isShowing);
    return isShowing;
  }

  play(mode: FallbackMode): void {
    if (this.mode === mode) return;
    this.mode = mode;
    this.#loadedAt = undefined;
    clearTimeout(this.#timer);
    this.#load();
  }

  remove(): void {
    if (this.removed) return;
    this.removed = true;
    clearTimeout(this.#timer);
    // Removing the element does not end an MJPEG stream; removing its `src` does.
    this.#image.onload = null;
    this.#image.onerror = null;
    this.#image.removeAttribute('src');
    this.#image.remove();
    this.#still?.remove();
    this.#onRemove();
  }

  #load(): void {
    this.#requestedAt = Date.now();
    this.#image.src =
      this.mode === 'mjpeg'
        ? this.#address.mjpeg(this.#camera, this.stream)
        : this.#address.snapshot(this.#camera, this.stream);
  }

  #loaded(): void {
    this.#loadedAt = Date.now();
    if (this.mode === 'snapshot')
      this.#scheduleLoad(Math.max(0, this.#requestedAt + SNAPSHOT_INTERVAL - Date.now()));
  }

  #scheduleLoad(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load(), milliseconds);
  }
}
