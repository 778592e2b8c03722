// One camera's MPEG-1 in a tile: loads the decoder when it is first wanted, keeps a socket of its own, and says of
// its picture what the painter says of others.
import type { StreamChoice } from '../client/events.ts';
import { backoffDelay } from '../client/backoff.ts';
import type { Mpeg1Canvas } from '../jsmpeg/mpeg1-canvas.ts';
import type { HubAddress } from '../client/hub-address.ts';
import type { Picture, Pixels } from './messages.ts';
import { Rate } from './rate.ts';

/** Beside this script: most pages never need it. */
const DECODER = new URL(/* @vite-ignore */ './jsmpeg.js', import.meta.url).href;

export interface Mpeg1Wanted {
  readonly camera: string;
  readonly stream: StreamChoice;
  /** Where the picture goes. */
  readonly place: HTMLElement;
}

export class Mpeg1Stream {
  readonly camera: string;
  readonly stream: StreamChoice;
  readonly #address: HubAddress;
  readonly #canvas = document.createElement('canvas');
  readonly #rate = new Rate();
  #video: Mpeg1Canvas | undefined;
  #socket: WebSocket | undefined;
  #held = false;
  #removed = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** ms from capture to the hub's sending, as the hub last said. */
  #underway = 0;
  /** ms by our clock. */
  #paintedAt = 0;

  constructor(address: HubAddress, wanted: Mpeg1Wanted) {
    this.#address = address;
    this.camera = wanted.camera;
    this.stream = wanted.stream;
    wanted.place.append(this.#canvas);
    void this.#begin();
  }

  /** What is on the screen; `clockOffset` is µs to add to our clock to get the hub's. */
  picture(clockOffset: number): Picture | undefined {
    const video = this.#video;
    if (!video || video.painted === 0) return undefined;
    const paintedAge = this.#underway;
    return {
      camera: this.camera,
      painted: video.painted,
      fps: this.#rate.fps(Date.now()),
      interval: this.#rate.interval,
      captureTime: (this.#paintedAt - paintedAge) * 1000 + clockOffset,
      paintedAge,
      width: video.width,
      height: video.height,
    };
  }

  read(): Pixels | undefined {
    const { width, height } = this.#canvas;
    if (!this.#video || this.#video.painted === 0) return undefined;
    return this.#canvas.getContext('2d')?.getImageData(0, 0, width, height);
  }

  /** Stands still, and asks for nothing; afterwards the newest group comes at once. */
  hold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    this.#rate.reset();
    this.#hangUp();
    if (!held && this.#video) this.#connect();
  }

  remove(): void {
    this.#removed = true;
    this.#hangUp();
    this.#canvas.remove();
  }

  #hangUp(): void {
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = undefined;
  }

  async #begin(): Promise<void> {
    try {
      const { Mpeg1Canvas: Video } = (await import(/* @vite-ignore */ DECODER)) as {
        Mpeg1Canvas: typeof Mpeg1Canvas;
      };
      this.#video = new Video(this.#canvas);
    } catch {
      this.#again();
      return;
    }
    this.#connect();
  }

  #connect(): void {
    if (this.#removed || this.#held) return;
    const socket = new WebSocket(this.#address.mpeg1(this.camera, this.stream));
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#video?.reset();
    let begun = false;
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (typeof data === 'string') this.#informed(data);
      // The first message is the header; the picture's own tells the size as well.
      else if (!begun) begun = true;
      else if (socket === this.#socket && this.#video?.write(data)) this.#painted();
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#again();
    };
  }

  #painted(): void {
    this.#failures = 0;
    this.#paintedAt = Date.now();
    this.#rate.add(this.#paintedAt);
  }

  #again(): void {
    if (this.#removed || this.#held) return;
    const wait = backoffDelay(this.#failures++, Math.random());
    this.#timer = setTimeout(() => (this.#video ? this.#connect() : void this.#begin()), wait);
  }

  #informed(text: string): void {
    const { captureTime, hubTime } = JSON.parse(text) as { captureTime?: number; hubTime?: number };
    if (captureTime !== undefined && hubTime !== undefined) this.#underway = (hubTime - captureTime) / 1000;
  }
}
