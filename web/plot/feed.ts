// A plot's connection to its hub: opens it for the series to show, requests the next batch after each redraw, and sends
// changes to series. It draws nothing.
import type { HubAddress } from '../client/hub-address.ts';
import { coalesced } from '../client/coalesced.ts';
import { browserPlatform } from '../client/browser-platform.ts';
import { sentence } from '../client/sentence.ts';
import { SeriesConnection, type SeriesLink } from './series-connection.ts';
import type { SeriesPart } from './series-message.ts';

/** The minimum time between two batches in ms. One batch per redraw is enough. */
const MIN_BATCH_INTERVAL = 33;

export interface FeedListener {
  /** The hub and the series to connect to; `undefined` while the plot is not in a document. */
  target(): { hub: HubAddress; names: readonly string[] } | undefined;
  message(parts: SeriesPart[], isHistory: boolean): void;
  linkChanged(): void;
}

export class Feed {
  link: SeriesLink = 'connecting';
  readonly #listener: FeedListener;
  #connection: SeriesConnection | undefined;
  #batches: number[] = [];
  #paused = false;
  #awaitsDraw = false;
  #requestTimer: ReturnType<typeof setTimeout> | undefined;
  #drawnAt = 0;

  constructor(listener: FeedListener) {
    this.#listener = listener;
  }

  /** The number of samples in each message, starting with the history. */
  get batches(): readonly number[] {
    return this.#batches;
  }

  /** A paused feed requests nothing. */
  set paused(paused: boolean) {
    this.#paused = paused;
  }

  /** Coalesced, because attributes and names are set separately. */
  readonly scheduleConnect = coalesced(() => this.#connect());

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
    clearTimeout(this.#requestTimer);
  }

  /** Everything received so far has been drawn. Only then is the next batch requested. */
  drawn(now: number): void {
    if (this.#awaitsDraw) {
      this.#awaitsDraw = false;
      const delay = Math.max(0, MIN_BATCH_INTERVAL - (now - this.#drawnAt));
      this.#requestTimer = setTimeout(() => {
        if (this.#paused) this.#awaitsDraw = true;
        else this.#connection?.requestNext();
      }, delay);
    }
    this.#drawnAt = now;
  }

  #connect(): void {
    const target = this.#listener.target();
    if (!target) return;
    this.#connection?.close();
    this.#connection = new SeriesConnection(target.hub.series(target.names), browserPlatform, {
      message: (parts, isHistory) => this.#message(parts, isHistory),
      link: (link) => {
        this.link = link;
        this.#listener.linkChanged();
      },
    });
  }

  #message(parts: SeriesPart[], isHistory: boolean): void {
    this.#batches.push(parts.reduce((sum, part) => sum + part.points.length, 0));
    if (this.#batches.length > 10_000) this.#batches.splice(0, 5_000);
    this.#listener.message(parts, isHistory);
    this.#awaitsDraw = true;
  }
}

/** Changes or deletes a series at its hub. Returns an error message, or ''. */
export async function changeSeries(
  hub: HubAddress,
  id: number,
  method: 'PATCH' | 'DELETE',
  body?: unknown,
): Promise<string> {
  try {
    const response = await fetch(hub.seriesById(id), {
      method,
      credentials: 'same-origin',
      ...(body === undefined
        ? {}
        : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    });
    if (response.ok) return '';
    const { message } = (await response.json()) as { message?: string };
    return sentence(
      message ?? `The hub refused the change with status ${response.status}. Reload the page and try again.`,
    );
  } catch {
    return 'The hub cannot be reached. Check that it is running, then try again.';
  }
}
