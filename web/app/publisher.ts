// Pushes pictures from a page to the hub. It sends the newest picture only when the previous one has left the socket's
// buffer, so nothing queues on a slow network. It reports refusals and reconnects if a retry can succeed.
import { backoffDelay } from '../client/backoff.ts';
import { explainClose, parseHubMessage, type Ready } from './ingest-protocol.ts';

const STATS_INTERVAL = 30_000;
/** The first stats are sent early, because the user has just opened the page. */
const FIRST_STATS_DELAY = 3_000;
/** The smallest scale, relative to the chosen width. */
const MIN_SCALE = 0.25;

export type PublishState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live'; readonly room: string }
  | { readonly kind: 'waiting'; readonly reason: string; readonly seconds: number }
  | { readonly kind: 'ended'; readonly reason: string };

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
  readonly capture: (scale: number) => Promise<Blob | undefined>;
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

  /** Stops permanently. */
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
    let begun = false;
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const message = typeof data === 'string' ? parseHubMessage(data) : undefined;
      if (message === undefined || this.#socket !== socket) return;
      if ('refused' in message) refused = message.refused;
      // The hub repeats the message until it has received a frame, which may take a slow camera long.
      else if (!begun) {
        begun = true;
        this.#start(socket, message.ready);
      }
    };
    socket.onclose = ({ code }) => {
      if (this.#socket === socket) this.#onClose(code, refused);
    };
  }

  #start(socket: PushSocket, ready: Ready): void {
    this.#attempts = 0;
    this.#options.onstate({ kind: 'live', room: ready.room });
    const interval = 1000 / Math.max(0.1, Math.min(this.#options.fps, ready.maxFps));
    const sendNext = async (): Promise<void> => {
      const startedAt = performance.now();
      if (socket.bufferedAmount > 0) this.#addCounts({ skipped: 1 });
      else await this.#push(socket, ready);
      if (this.#socket !== socket) return;
      this.#frameTimer = setTimeout(
        () => void sendNext(),
        Math.max(0, interval - (performance.now() - startedAt)),
      );
    };
    void sendNext();
    this.#statsTimer = setTimeout(() => this.#sendStats(socket, FIRST_STATS_DELAY), FIRST_STATS_DELAY);
  }

  async #push(socket: PushSocket, ready: Ready): Promise<void> {
    const picture = await this.#options.capture(this.#scale);
    if (picture === undefined || this.#socket !== socket) return;
    if (picture.size > ready.maxFrameBytes) {
      // The hub would close the connection.
      this.#shrink();
      return;
    }
    socket.send(picture);
    this.#addCounts({ sent: 1, bytes: picture.size });
  }

  #sendStats(socket: PushSocket, elapsed: number): void {
    const fps = ((this.#counts.sent - this.#sentAtStats) * 1000) / elapsed;
    this.#sentAtStats = this.#counts.sent;
    socket.send(
      JSON.stringify({ type: 'stats', fps: Math.round(fps * 10) / 10, skipped: this.#counts.skipped }),
    );
    this.#statsTimer = setTimeout(() => this.#sendStats(socket, STATS_INTERVAL), STATS_INTERVAL);
  }

  #onClose(code: number, message: string | undefined): void {
    this.#detach();
    const { text, retrySeconds, reduceSize } = explainClose(code, message);
    if (reduceSize === true) this.#shrink();
    if (retrySeconds === null) {
      this.#options.onstate({ kind: 'ended', reason: text });
      return;
    }
    const delay = retrySeconds * 1000 + backoffDelay(this.#attempts, Math.random());
    this.#attempts += 1;
    this.#options.onstate({ kind: 'waiting', reason: text, seconds: Math.ceil(delay / 1000) });
    this.#retryTimer = setTimeout(() => this.#connect(), delay);
  }

  #detach(): void {
    this.#socket = undefined;
    clearTimeout(this.#frameTimer);
    clearTimeout(this.#statsTimer);
  }

  #shrink(): void {
    this.#scale = Math.max(MIN_SCALE, this.#scale * 0.8);
  }

  #addCounts(added: Partial<Counts>): void {
    const { sent, skipped, bytes } = this.#counts;
    this.#counts = {
      sent: sent + (added.sent ?? 0),
      skipped: skipped + (added.skipped ?? 0),
      bytes: bytes + (added.bytes ?? 0),
    };
  }
}
