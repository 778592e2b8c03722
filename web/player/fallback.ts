// Pictures without the socket: MJPEG for a few cameras, snapshots for the rest. Browsers open about six connections
// to one origin, and an MJPEG stream holds one for ever: the sixth would starve the page's own requests.
import type { StreamChoice } from '../client/events.ts';
import type { HubAddress } from './hub-address.ts';

export type FallbackMode = 'mjpeg' | 'snapshot';

const STREAMS = 4;
const SNAPSHOT_INTERVAL = 1_000;
const RETRY_INTERVAL = 2_000;

export class FallbackPlan {
  readonly #address: HubAddress;
  readonly #pictures = new Set<FallbackPicture>();

  constructor(address: HubAddress) {
    this.#address = address;
  }

  add(camera: string, stream: StreamChoice, place: HTMLElement, first: boolean): FallbackPicture {
    const picture = new FallbackPicture(this.#address, camera, stream, place, first, () => {
      this.#pictures.delete(picture);
      this.assign();
    });
    this.#pictures.add(picture);
    this.assign();
    return picture;
  }

  /** The focused ones play, then those that were there before the others. */
  assign(): void {
    const ordered = [...this.#pictures].sort((a, b) => Number(b.first) - Number(a.first));
    // Streams end before others begin, so that there are never more than the limit.
    ordered.slice(STREAMS).forEach((picture) => picture.play('snapshot'));
    ordered.slice(0, STREAMS).forEach((picture) => picture.play('mjpeg'));
  }

  clear(): void {
    const pictures = [...this.#pictures];
    // Emptied first: one that leaves must not hand its stream to the next.
    this.#pictures.clear();
    for (const picture of pictures) picture.remove();
  }
}

export class FallbackPicture {
  mode: FallbackMode | undefined;
  /** When the last picture came, by our clock in ms; an MJPEG stream does not tell. */
  loadedAt: number | undefined;
  removed = false;
  /** Is to play before others: the one somebody looks at. */
  first: boolean;
  readonly #image = document.createElement('img');
  readonly #address: HubAddress;
  readonly #camera: string;
  readonly #stream: StreamChoice;
  readonly #forget: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #askedAt = 0;

  constructor(
    address: HubAddress,
    camera: string,
    stream: StreamChoice,
    place: HTMLElement,
    first: boolean,
    forget: () => void,
  ) {
    this.#address = address;
    this.#camera = camera;
    this.#stream = stream;
    this.first = first;
    this.#forget = forget;
    this.#image.alt = '';
    this.#image.className = 'empty';
    this.#image.onload = () => this.#loaded();
    this.#image.onerror = () => this.#later(RETRY_INTERVAL);
    place.append(this.#image);
  }

  /** Whether there is a picture to see; not every browser says `load` for MJPEG. Hides the sign for a broken one. */
  showing(): boolean {
    const showing = this.#image.naturalWidth > 0;
    this.#image.classList.toggle('empty', !showing);
    return showing;
  }

  play(mode: FallbackMode): void {
    if (this.mode === mode) return;
    this.mode = mode;
    this.loadedAt = undefined;
    clearTimeout(this.#timer);
    this.#load();
  }

  remove(): void {
    if (this.removed) return;
    this.removed = true;
    clearTimeout(this.#timer);
    // Taking the element away does not end an MJPEG stream; taking its address away does.
    this.#image.onload = null;
    this.#image.onerror = null;
    this.#image.removeAttribute('src');
    this.#image.remove();
    this.#forget();
  }

  #load(): void {
    this.#askedAt = Date.now();
    this.#image.src =
      this.mode === 'mjpeg'
        ? this.#address.mjpeg(this.#camera, this.#stream)
        : this.#address.snapshot(this.#camera, this.#stream);
  }

  #loaded(): void {
    this.loadedAt = Date.now();
    if (this.mode === 'snapshot') this.#later(Math.max(0, this.#askedAt + SNAPSHOT_INTERVAL - Date.now()));
  }

  #later(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load(), milliseconds);
  }
}
