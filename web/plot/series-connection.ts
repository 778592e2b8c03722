// A viewer of series: the history comes first, then one batch for each time it asks. It never asks for the next
// before the last was used, so a page that draws slowly gets larger batches and never a backlog. It knows no DOM.
import { backoffDelay } from '../client/backoff.ts';
import type { Socket, World } from '../client/connection.ts';
import { parseMessage, type SeriesPart } from './series-message.ts';

export type SeriesLink = 'connecting' | 'open' | 'reconnecting' | 'refused';

export interface SeriesListener {
  /** A message came. `ask` is to be called once it has been used to the end. `anew`: it is the history. */
  message(parts: SeriesPart[], anew: boolean): void;
  link(link: SeriesLink): void;
}

/** The hub's close code for whoever may not look. */
const UNAUTHORIZED = 4401;

export class SeriesConnection {
  readonly #url: string;
  readonly #world: World;
  readonly #listener: SeriesListener;
  #socket: Socket | undefined;
  #greeted = false;
  /** An ask has been sent and not been answered. */
  #asked = false;
  #failures = 0;
  #cancelRetry: (() => void) | undefined;
  #closed = false;

  constructor(url: string, world: World, listener: SeriesListener) {
    this.#url = url;
    this.#world = world;
    this.#listener = listener;
    this.#open();
  }

  /** Asks for the next batch, unless it has been asked for. */
  ask(): void {
    if (!this.#socket || !this.#greeted || this.#asked) return;
    this.#asked = true;
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
    this.#greeted = this.#asked = false;
    let socket: Socket;
    try {
      socket = this.#world.openSocket(this.#url);
    } catch {
      this.#retry();
      return;
    }
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (typeof data !== 'string') return;
      const anew = !this.#greeted;
      this.#greeted = true;
      this.#asked = false;
      this.#failures = 0;
      if (anew) this.#listener.link('open');
      this.#listener.message(parseMessage(data), anew);
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
    const delay = backoffDelay(this.#failures++, this.#world.random());
    this.#cancelRetry = this.#world.after(delay, () => this.#open());
  }
}
