// A viewer's connection to the series socket. The hub sends the history first, then one batch per request. The next
// batch is requested only after the previous one was processed, so a page that draws slowly gets larger batches and no
// backlog. No DOM.
import { backoffDelay } from '../client/backoff.ts';
import type { Socket, Platform } from '../client/connection.ts';
import { parseMessage, type SeriesPart } from './series-message.ts';

export type SeriesLink = 'connecting' | 'open' | 'reconnecting' | 'refused';

export interface SeriesListener {
  /**
   * Called for each message; `isHistory` is true for the history. Call `requestNext` after processing it.
   */
  message(parts: SeriesPart[], isHistory: boolean): void;
  link(link: SeriesLink): void;
}

/** The hub's close code for missing permission. */
const UNAUTHORIZED = 4401;

export class SeriesConnection {
  readonly #url: string;
  readonly #platform: Platform;
  readonly #listener: SeriesListener;
  #socket: Socket | undefined;
  #hasHistory = false;
  /** Whether a request is waiting for its response. */
  #pending = false;
  #failures = 0;
  #cancelRetry: (() => void) | undefined;
  #closed = false;

  constructor(url: string, platform: Platform, listener: SeriesListener) {
    this.#url = url;
    this.#platform = platform;
    this.#listener = listener;
    this.#open();
  }

  /** Requests the next batch, unless a request is pending. */
  requestNext(): void {
    if (!this.#socket || !this.#hasHistory || this.#pending) return;
    this.#pending = true;
    this.#socket.send('');
  }

  close(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    if (this.#socket) {
      this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
    }
    this.#socket = undefined;
  }

  #open(): void {
    this.#hasHistory = this.#pending = false;
    let socket: Socket;
    try {
      socket = this.#platform.openSocket(this.#url);
    } catch {
      this.#retry();
      return;
    }
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (typeof data !== 'string') return;
      const isHistory = !this.#hasHistory;
      this.#hasHistory = true;
      this.#pending = false;
      this.#failures = 0;
      if (isHistory) this.#listener.link('open');
      this.#listener.message(parseMessage(data), isHistory);
    };
    socket.onclose = (event?: { readonly code?: number }) => {
      this.#socket = undefined;
      if (event?.code === UNAUTHORIZED) this.#listener.link('refused');
      this.#retry(event?.code === UNAUTHORIZED);
    };
  }

  #retry(refused = false): void {
    if (this.#closed) return;
    if (!refused) this.#listener.link('reconnecting');
    const delay = backoffDelay(this.#failures++, this.#platform.random());
    this.#cancelRetry = this.#platform.after(delay, () => this.#open());
  }
}
