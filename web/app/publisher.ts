// Pushes pictures from a page to the hub. It sends the newest picture only when the previous one has left the socket's
// buffer, so nothing queues on a slow network. It reports refusals and reconnects where that can help.
import { backoffDelay } from '../client/backoff.ts';
import { explainClose, parseHubMessage, type Ready } from './ingest-protocol.ts';

const STATS_EVERY = 30_000;
/** The first stats are sent early, because the user has just opened the page. */
const FIRST_STATS = 3_000;
/** The smallest scale, relative to the chosen width. */
const SMALLEST = 0.25;

export type PublishState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live'; readonly room: string }
  | { readonly kind: 'waiting'; readonly why: string; readonly seconds: number }
  | { readonly kind: 'ended'; readonly why: string };

export interface Counts {
  readonly sent: number;
  /** Frames not sent because the previous one was still in the socket's buffer. */
  readonly skipped: number;
  readonly bytes: number;
}

/** The part of a WebSocket that is used. */
export interface PushSocket {
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  readonly bufferedAmount: number;
  send(data: string | Blob): void;
  close(code?: number): void;
}

export interface PublisherOptions {
  readonly open: () => PushSocket;
  /** Returns the newest picture at `scale` times its width, or undefined if the camera has none yet. */
  readonly grab: (scale: number) => Promise<Blob | undefined>;
  /** The maximum frame rate. */
  readonly fps: number;
  readonly onstate: (state: PublishState) => void;
}

export class Publisher {
  readonly #options: PublisherOptions;
  #socket: PushSocket | undefined;
  #frameTimer: ReturnType<typeof setTimeout> | undefined;
  #statsTimer: ReturnType<typeof setTimeout> | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #attempts = 0;
  #scale = 1;
  #counts: Counts = { sent: 0, skipped: 0, bytes: 0 };
  #sentAtStats = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#connect();
  }

  get counts(): Counts {
    return this.#counts;
  }

  /** Stops for good. */
  stop(): void {
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    this.#detach();
    socket?.close(1000);
  }

  #connect(): void {
    this.#options.onstate({ kind: 'connecting' });
    const socket = this.#options.open();
    let refused: string | undefined;
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const message = typeof data === 'string' ? parseHubMessage(data) : undefined;
      if (message === undefined || this.#socket !== socket) return;
      if ('refused' in message) refused = message.refused;
      else this.#begin(socket, message.ready);
    };
    socket.onclose = ({ code }) => {
      if (this.#socket === socket) this.#onClose(code, refused);
    };
  }

  #begin(socket: PushSocket, ready: Ready): void {
    this.#attempts = 0;
    this.#options.onstate({ kind: 'live', room: ready.room });
    const pause = 1000 / Math.max(0.1, Math.min(this.#options.fps, ready.maxFps));
    const sendNext = async (): Promise<void> => {
      const begun = performance.now();
      if (socket.bufferedAmount > 0) this.#addCounts({ skipped: 1 });
      else await this.#push(socket, ready);
      if (this.#socket !== socket) return;
      this.#frameTimer = setTimeout(() => void sendNext(), Math.max(0, pause - (performance.now() - begun)));
    };
    void sendNext();
    this.#statsTimer = setTimeout(() => this.#sendStats(socket, FIRST_STATS), FIRST_STATS);
  }

  async #push(socket: PushSocket, ready: Ready): Promise<void> {
    const picture = await this.#options.grab(this.#scale);
    if (picture === undefined || this.#socket !== socket) return;
    if (picture.size > ready.maxFrameBytes) {
      // The hub would close the connection.
      this.#shrink();
      return;
    }
    socket.send(picture);
    this.#addCounts({ sent: 1, bytes: picture.size });
  }

  #sendStats(socket: PushSocket, passed: number): void {
    const fps = ((this.#counts.sent - this.#sentAtStats) * 1000) / passed;
    this.#sentAtStats = this.#counts.sent;
    socket.send(
      JSON.stringify({ type: 'stats', fps: Math.round(fps * 10) / 10, skipped: this.#counts.skipped }),
    );
    this.#statsTimer = setTimeout(() => this.#sendStats(socket, STATS_EVERY), STATS_EVERY);
  }

  #onClose(code: number, message: string | undefined): void {
    this.#detach();
    const { words, pause, smaller } = explainClose(code, message);
    if (smaller === true) this.#shrink();
    if (pause === null) {
      this.#options.onstate({ kind: 'ended', why: words });
      return;
    }
    const wait = pause * 1000 + backoffDelay(this.#attempts, Math.random());
    this.#attempts += 1;
    this.#options.onstate({ kind: 'waiting', why: words, seconds: Math.ceil(wait / 1000) });
    this.#retryTimer = setTimeout(() => this.#connect(), wait);
  }

  #detach(): void {
    this.#socket = undefined;
    clearTimeout(this.#frameTimer);
    clearTimeout(this.#statsTimer);
  }

  #shrink(): void {
    this.#scale = Math.max(SMALLEST, this.#scale * 0.8);
  }

  #addCounts(more: Partial<Counts>): void {
    const { sent, skipped, bytes } = this.#counts;
    this.#counts = {
      sent: sent + (more.sent ?? 0),
      skipped: skipped + (more.skipped ?? 0),
      bytes: bytes + (more.bytes ?? 0),
    };
  }
}
