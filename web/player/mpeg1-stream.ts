// One camera's MPEG-1 stream in a tile. It loads the decoder on first use, has its own socket, and reports its
// picture in the same form as the painter.
import type { StreamChoice } from '../client/events.ts';
import { backoffDelay } from '../client/backoff.ts';
import type { Mpeg1Canvas } from '../jsmpeg/mpeg1-canvas.ts';
import type { HubAddress } from '../client/hub-address.ts';
import type { Picture, Pixels } from './messages.ts';
import { Mpeg1Times } from './mpeg1-times.ts';
import { Rate } from './rate.ts';

/** A separate file, because most pages never need it. */
const DECODER = new URL(/* @vite-ignore */ './jsmpeg.js', import.meta.url).href;

/** A hub that makes MPEG-1 sends a picture within this time; ms. */
const PATIENCE = 20_000;

export interface Mpeg1Request {
  readonly camera: string;
  readonly stream: StreamChoice;
  /** The parent element of the canvas. */
  readonly parent: HTMLElement;
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
  readonly #startedAt = Date.now();
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #times = new Mpeg1Times();

  constructor(address: HubAddress, request: Mpeg1Request) {
    this.#address = address;
    this.camera = request.camera;
    this.stream = request.stream;
    // What is below stays visible until there is a picture.
    this.#canvas.hidden = true;
    request.parent.append(this.#canvas);
    void this.#loadDecoder();
  }

  /** Whether no picture has arrived in a time in which one should have. */
  get isMissing(): boolean {
    return (this.#video?.painted ?? 0) === 0 && Date.now() - this.#startedAt > PATIENCE;
  }

  /** The shown picture; `clockOffset` is µs to add to the local clock to get the hub's. */
  picture(clockOffset: number): Picture | undefined {
    const video = this.#video;
    if (!video || video.painted === 0) return undefined;
    const { capturedAt, paintedAge } = this.#times;
    return {
      camera: this.camera,
      painted: video.painted,
      fps: this.#rate.fps(Date.now()),
      interval: this.#rate.interval,
      captureTime: capturedAt * 1000 + clockOffset,
      paintedAge,
      width: video.width,
      height: video.height,
      codec: 'mpeg1',
    };
  }

  read(): Pixels | undefined {
    const { width, height } = this.#canvas;
    if (!this.#video || this.#video.painted === 0) return undefined;
    return this.#canvas.getContext('2d')?.getImageData(0, 0, width, height);
  }

  /** Freezes the picture and disconnects, or reconnects. After reconnecting, the newest group arrives immediately. */
  hold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    this.#rate.reset();
    this.#disconnect();
    if (!held && this.#video) this.#connect();
  }

  remove(): void {
    this.#removed = true;
    this.#disconnect();
    this.#canvas.remove();
  }

  #disconnect(): void {
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = undefined;
  }

  async #loadDecoder(): Promise<void> {
    try {
      const { Mpeg1Canvas: Video } = (await import(/* @vite-ignore */ DECODER)) as {
        Mpeg1Canvas: typeof Mpeg1Canvas;
      };
      this.#video = new Video(this.#canvas);
    } catch {
      this.#scheduleRetry();
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
    let headerReceived = false;
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (typeof data === 'string') this.#handleInfo(data);
      // The first message is the header. It is skipped, because the stream also contains the size.
      else if (!headerReceived) headerReceived = true;
      else if (socket === this.#socket && this.#video?.write(data)) this.#painted();
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#scheduleRetry();
    };
  }

  #painted(): void {
    this.#failures = 0;
    this.#canvas.hidden = false;
    const now = Date.now();
    this.#times.painted(now);
    this.#rate.add(now);
  }

  #scheduleRetry(): void {
    if (this.#removed || this.#held) return;
    const delay = backoffDelay(this.#failures++, Math.random());
    this.#timer = setTimeout(() => (this.#video ? this.#connect() : void this.#loadDecoder()), delay);
  }

  #handleInfo(text: string): void {
    const { captureTime, hubTime } = JSON.parse(text) as { captureTime?: number; hubTime?: number };
    if (captureTime === undefined || hubTime === undefined) return;
    this.#times.reported((hubTime - captureTime) / 1000, Date.now());
  }
}
