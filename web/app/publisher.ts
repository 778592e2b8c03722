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
export interface Line {
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  readonly bufferedAmount: number;
  send(data: string | Blob): void;
  close(code?: number): void;
}

export interface PublisherOptions {
  readonly open: () => Line;
  /** Returns the newest picture at `scale` times its width, or undefined if the camera has none yet. */
  readonly grab: (scale: number) => Promise<Blob | undefined>;
  /** The maximum frame rate. */
  readonly fps: number;
  readonly onstate: (state: PublishState) => void;
}

export class Publisher {
  readonly #options: PublisherOptions;
  #line: Line | undefined;
  #turn: ReturnType<typeof setTimeout> | undefined;
  #stats: ReturnType<typeof setTimeout> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
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
    clearTimeout(this.#again);
    const line = this.#line;
    this.#quiet();
    line?.close(1000);
  }

  #connect(): void {
    this.#options.onstate({ kind: 'connecting' });
    const line = this.#options.open();
    let refused: string | undefined;
    this.#line = line;
    line.onmessage = ({ data }) => {
      const told = typeof data === 'string' ? parseHubMessage(data) : undefined;
      if (told === undefined || this.#line !== line) return;
      if ('refused' in told) refused = told.refused;
      else this.#begin(line, told.ready);
    };
    line.onclose = ({ code }) => {
      if (this.#line === line) this.#over(code, refused);
    };
  }

  #begin(line: Line, ready: Ready): void {
    this.#attempts = 0;
    this.#options.onstate({ kind: 'live', room: ready.room });
    const pause = 1000 / Math.max(0.1, Math.min(this.#options.fps, ready.maxFps));
    const round = async (): Promise<void> => {
      const begun = performance.now();
      if (line.bufferedAmount > 0) this.#count({ skipped: 1 });
      else await this.#push(line, ready);
      if (this.#line !== line) return;
      this.#turn = setTimeout(() => void round(), Math.max(0, pause - (performance.now() - begun)));
    };
    void round();
    this.#stats = setTimeout(() => this.#tell(line, FIRST_STATS), FIRST_STATS);
  }

  async #push(line: Line, ready: Ready): Promise<void> {
    const picture = await this.#options.grab(this.#scale);
    if (picture === undefined || this.#line !== line) return;
    if (picture.size > ready.maxFrameBytes) {
      // The hub would close the connection.
      this.#shrink();
      return;
    }
    line.send(picture);
    this.#count({ sent: 1, bytes: picture.size });
  }

  #tell(line: Line, passed: number): void {
    const fps = ((this.#counts.sent - this.#sentAtStats) * 1000) / passed;
    this.#sentAtStats = this.#counts.sent;
    line.send(
      JSON.stringify({ type: 'stats', fps: Math.round(fps * 10) / 10, skipped: this.#counts.skipped }),
    );
    this.#stats = setTimeout(() => this.#tell(line, STATS_EVERY), STATS_EVERY);
  }

  #over(code: number, told: string | undefined): void {
    this.#quiet();
    const { words, pause, smaller } = explainClose(code, told);
    if (smaller === true) this.#shrink();
    if (pause === null) {
      this.#options.onstate({ kind: 'ended', why: words });
      return;
    }
    const wait = pause * 1000 + backoffDelay(this.#attempts, Math.random());
    this.#attempts += 1;
    this.#options.onstate({ kind: 'waiting', why: words, seconds: Math.ceil(wait / 1000) });
    this.#again = setTimeout(() => this.#connect(), wait);
  }

  #quiet(): void {
    this.#line = undefined;
    clearTimeout(this.#turn);
    clearTimeout(this.#stats);
  }

  #shrink(): void {
    this.#scale = Math.max(SMALLEST, this.#scale * 0.8);
  }

  #count(more: Partial<Counts>): void {
    const { sent, skipped, bytes } = this.#counts;
    this.#counts = {
      sent: sent + (more.sent ?? 0),
      skipped: skipped + (more.skipped ?? 0),
      bytes: bytes + (more.bytes ?? 0),
    };
  }
}
