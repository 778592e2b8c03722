// /jsmpg.js: the classic API `new jsmpeg(webSocket, { canvas })`, and the current one, `JSMpeg.Player`. The classic
// player reconnects when the socket closes and shows a message on the canvas.
import JSMpeg from '@cycjimmy/jsmpeg-player';
import { Mpeg1Canvas } from './mpeg1-canvas.ts';

interface Options {
  readonly canvas?: HTMLCanvasElement;
  /** Called after each picture. */
  readonly ondecodeframe?: (player: ClassicPlayer, canvas: HTMLCanvasElement) => void;
}

const HEADER = 'jsmp';
/** ms without a picture before the message is shown. */
const PICTURE_TIMEOUT = 3_000;
const CHECK_INTERVAL = 1_000;
const FIRST_RETRY = 1_000;
const MAX_RETRY = 10_000;

class ClassicPlayer {
  readonly canvas: HTMLCanvasElement;
  width = 0;
  height = 0;
  client: WebSocket;
  readonly #video: Mpeg1Canvas;
  readonly #options: Options;
  #lastPictureAt = Date.now();
  #started = false;
  #failures = 0;
  #stopped = false;
  #message = '';
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(source: WebSocket | string, options: Options = {}) {
    this.#options = options;
    this.canvas = options.canvas ?? document.createElement('canvas');
    this.#video = new Mpeg1Canvas(this.canvas);
    this.client = typeof source === 'string' ? new WebSocket(source) : source;
    this.#attach();
    this.#timer = setInterval(() => this.#check(), CHECK_INTERVAL);
  }

  play(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#reopen();
  }

  pause(): void {
    this.stop();
  }

  stop(): void {
    this.#stopped = true;
    this.client.close();
  }

  destroy(): void {
    this.stop();
    clearInterval(this.#timer);
  }

  #attach(): void {
    const client = this.client;
    client.binaryType = 'arraybuffer';
    client.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
      if (client === this.client && data instanceof ArrayBuffer) this.#handleMessage(data);
    });
    client.addEventListener('close', ({ reason }) => {
      if (client !== this.client || this.#stopped) return;
      this.#showMessage(reason === '' ? 'Connection lost. Reconnecting…' : reason);
      setTimeout(() => this.#reopen(), Math.min(MAX_RETRY, FIRST_RETRY * 2 ** this.#failures++));
    });
  }

  #reopen(): void {
    if (this.#stopped) return;
    this.client = new WebSocket(this.client.url);
    this.#started = false;
    this.#video.reset();
    this.#attach();
  }

  #handleMessage(message: ArrayBuffer): void {
    if (!this.#started && isHeader(message)) {
      const header = new DataView(message);
      this.width = header.getUint16(4);
      this.height = header.getUint16(6);
      this.#started = true;
      return;
    }
    this.#started = true;
    if (!this.#video.write(message)) return;
    this.#lastPictureAt = Date.now();
    this.#failures = 0;
    this.#message = '';
    this.#options.ondecodeframe?.(this, this.canvas);
  }

  #check(): void {
    const elapsed = Date.now() - this.#lastPictureAt;
    if (elapsed > PICTURE_TIMEOUT && this.client.readyState === WebSocket.OPEN)
      this.#showMessage('No picture from the camera');
  }

  /** Draws a message over the last picture. The next picture covers it. */
  #showMessage(text: string): void {
    if (text === this.#message) return;
    this.#message = text;
    const context = this.canvas.getContext('2d');
    if (!context) return;
    const { width, height } = this.canvas;
    const size = Math.max(14, Math.round(width / 28));
    context.fillStyle = '#101418';
    context.fillRect(0, height - 2.2 * size, width, 2.2 * size);
    context.fillStyle = '#ffd98a';
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.fillText(text, size, height - 0.8 * size, width - 2 * size);
  }
}

function isHeader(message: ArrayBuffer): boolean {
  return message.byteLength === 8 && new TextDecoder('latin1').decode(message).startsWith(HEADER);
}

Object.assign(globalThis, { jsmpeg: ClassicPlayer, JSMpeg });
