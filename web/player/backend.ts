// Runs the painter in a worker if the browser and the page's policy allow it, otherwise in the page.
import type { FromPainter, ToPainter } from './messages.ts';
import PainterWorker from './painter-worker.ts?worker&inline';
import { Painter } from './painter.ts';
import { browserHost } from './browser-host.ts';

export type PainterLocation = 'worker' | 'page';

/** In ms. Some policies block a worker without an error event. */
const WORKER_TIMEOUT = 5_000;

export class Backend {
  location: PainterLocation | undefined;
  readonly #deliver: (message: FromPainter) => void;
  #worker: Worker | undefined;
  #painter: Painter | undefined;
  /** Messages queued until the painter's location is decided, because a transferred canvas cannot be taken back. */
  #queued: ToPainter[] = [];
  #timeout: ReturnType<typeof setTimeout> | undefined;

  constructor(deliver: (message: FromPainter) => void) {
    this.#deliver = deliver;
    if (!canPaintInWorker()) {
      this.#usePage();
      return;
    }
    try {
      this.#worker = new PainterWorker({ name: 'ocelli painter' });
    } catch {
      this.#usePage();
      return;
    }
    this.#worker.onmessage = ({ data }: MessageEvent<FromPainter>) => this.#receive(data);
    this.#worker.onerror = () => this.#usePage();
    this.#timeout = setTimeout(() => this.#usePage(), WORKER_TIMEOUT);
  }

  send(message: ToPainter, transfer: Transferable[] = []): void {
    if (this.location === undefined) this.#queued.push(message);
    else if (this.location === 'page') this.#painter?.receive(message);
    else this.#post(message, transfer);
  }

  close(): void {
    this.send({ kind: 'close' });
    clearTimeout(this.#timeout);
    this.#worker?.terminate();
    this.#queued = [];
  }

  #receive(message: FromPainter): void {
    if (message.kind === 'ready') this.#decide('worker');
    else if (message.kind === 'unsupported') this.#usePage();
    else this.#deliver(message);
  }

  #usePage(): void {
    if (this.location !== undefined) return;
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#painter = new Painter(browserHost((message) => this.#deliver(message)));
    this.#decide('page');
  }

  #decide(location: PainterLocation): void {
    if (this.location !== undefined) return;
    clearTimeout(this.#timeout);
    this.location = location;
    const queued = this.#queued;
    this.#queued = [];
    for (const message of queued) this.send(message);
  }

  #post(message: ToPainter, transfer: Transferable[]): void {
    if (message.kind === 'surface' && message.canvas instanceof HTMLCanvasElement) {
      const canvas = message.canvas.transferControlToOffscreen();
      this.#worker?.postMessage({ ...message, canvas }, [canvas]);
    } else {
      this.#worker?.postMessage(message, transfer);
    }
  }
}

function canPaintInWorker(): boolean {
  return (
    typeof Worker === 'function' &&
    typeof OffscreenCanvas === 'function' &&
    'transferControlToOffscreen' in HTMLCanvasElement.prototype
  );
}
