// One viewer's connection to the hub's wall socket: keeps it alive, keeps the wanted cameras subscribed across
// reconnects, and accounts for credit. It knows no DOM and no pictures: it runs in a worker and in a page alike,
// and everything it needs from the world is passed in, so that tests need neither sockets nor sleep.
import { backoffDelay } from './backoff.ts';
import { ClockOffset } from './clock-offset.ts';
import { Credit } from './credit.ts';
import { parseEvent, type Command, type HubEvent, type StreamChoice } from './events.ts';
import { decodeFrame, type Frame } from './frame.ts';
import { gathered } from './gathered.ts';

/** The part of a browser's WebSocket that is used. */
export interface Socket {
  binaryType: string;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  send(text: string): void;
  close(): void;
}

export interface World {
  openSocket(url: string, protocol?: string): Socket;
  /** ms since the Unix epoch. */
  now(): number;
  /** Calls back once; returns what cancels it. */
  after(milliseconds: number, callback: () => void): () => void;
  random(): number;
}

export type Link = 'connecting' | 'open' | 'reconnecting' | 'fallback';

export interface Listener {
  /** A frame of a wanted camera. Its credit is held until `finished`. */
  frame(frame: Frame): void;
  event(event: HubEvent): void;
  link(link: Link): void;
}

export const PROTOCOL = 'ocelli.v2';

const SILENCE_LIMIT = 10_000;
const FAILURES_BEFORE_FALLBACK = 3;
/** A connection that ends sooner after its hello counts as one more failure, or a hub that greets and hangs up
 * would be called again and again without pause. */
const STEADY_AFTER = 5_000;
const PING_INTERVAL = 5_000;
/** The first round trips are measured quickly, so that ages are true from the start. */
const FIRST_PINGS = 3;
const FIRST_PING_INTERVAL = 300;

export class Connection {
  readonly clock = new ClockOffset();
  readonly #credit = new Credit();
  readonly #url: string;
  readonly #world: World;
  readonly #listener: Listener;

  #wanted = new Map<string, StreamChoice>();
  /** What the hub was told; a camera it refused is not in it, and is asked for again when it appears. */
  #subscribed = new Map<string, StreamChoice>();
  #socket: Socket | undefined;
  #greeted = false;
  #steady = false;
  #link: Link = 'connecting';
  #failures = 0;
  #lastHeard = 0;
  #pings = 0;
  #closed = false;
  #cancelRetry: (() => void) | undefined;
  #cancelWatchdog: (() => void) | undefined;
  #cancelSteady: (() => void) | undefined;
  #cancelPing: (() => void) | undefined;

  constructor(url: string, world: World, listener: Listener) {
    this.#url = url;
    this.#world = world;
    this.#listener = listener;
  }

  get link(): Link {
    return this.#link;
  }

  start(): void {
    this.#attempt();
  }

  /** Ends it for good. */
  close(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#drop();
  }

  /** Tries at once instead of at the end of the pause: the network is back, or somebody looks again. */
  hurry(): void {
    if (this.#socket || this.#closed) return;
    this.#cancelRetry?.();
    this.#attempt();
  }

  /** Exactly these cameras are to be subscribed, whatever was before; repeating it is harmless. */
  want(cameras: ReadonlyMap<string, StreamChoice>): void {
    this.#wanted = new Map(cameras);
    this.#reconcile();
  }

  /** A frame that was handed out is painted, or never will be. */
  finished(camera: string): void {
    this.#credit.finished(camera, this.#world.now());
    this.#creditSoon();
  }

  retry(cameras: readonly string[]): void {
    this.#send({ cmd: 'retry', cameras });
  }

  #attempt(): void {
    this.#lastHeard = this.#world.now();
    let socket: Socket;
    try {
      socket = this.#world.openSocket(this.#url, PROTOCOL);
    } catch {
      // A page's policy can forbid the socket outright; the pictures then come by MJPEG.
      this.#lost();
      return;
    }
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onclose = () => this.#lost();
    this.#watch(SILENCE_LIMIT);
  }

  #heard(data: unknown): void {
    this.#lastHeard = this.#world.now();
    if (data instanceof ArrayBuffer) {
      const frame = decodeFrame(data);
      if (frame && this.#credit.arrived(frame.camera, this.#lastHeard)) this.#listener.frame(frame);
    } else if (typeof data === 'string') {
      const event = parseEvent(data);
      if (event) this.#handle(event);
    }
  }

  #handle(event: HubEvent): void {
    switch (event.type) {
      case 'hello':
        this.#welcome();
        break;
      case 'pong':
        this.clock.add(event.t, this.#world.now(), event.time);
        this.#credit.roundTripIs(this.clock.roundTrip ?? 0);
        this.#creditSoon();
        break;
      case 'gone':
        this.#forget(event.id);
        break;
      case 'error':
        if (event.camera !== undefined) this.#forget(event.camera);
        break;
      case 'camera':
      case 'stats':
        break;
    }
    this.#listener.event(event);
    // After the listener: a camera that appeared may be one that was refused before.
    if (event.type === 'camera' && this.#wanted.has(event.camera.id)) this.#reconcile();
  }

  #welcome(): void {
    this.#greeted = true;
    this.clock.reset();
    this.#cancelSteady?.();
    this.#cancelSteady = this.#world.after(STEADY_AFTER, () => {
      this.#steady = true;
      this.#failures = 0;
    });
    this.#setLink('open');
    this.#pings = 0;
    this.#ping();
    this.#reconcile();
  }

  /** The hub holds no subscription of this camera any more. */
  #forget(camera: string): void {
    this.#subscribed.delete(camera);
    this.#credit.close(camera);
  }

  #reconcile(): void {
    if (!this.#greeted) return;
    const removed = [...this.#subscribed.keys()].filter((camera) => !this.#wanted.has(camera));
    if (removed.length > 0) {
      removed.forEach((camera) => this.#forget(camera));
      this.#send({ cmd: 'unsubscribe', cameras: removed });
    }
    for (const stream of ['sub', 'main'] as const) {
      const added: string[] = [];
      let credit = 1;
      for (const [camera, wanted] of this.#wanted) {
        if (wanted !== stream || this.#subscribed.get(camera) === stream) continue;
        credit = this.#credit.open(camera);
        this.#subscribed.set(camera, stream);
        added.push(camera);
      }
      if (added.length > 0) this.#send({ cmd: 'subscribe', cameras: added, credit, stream });
    }
  }

  /** One message for all the frames painted in the same turn. */
  readonly #creditSoon = gathered(() => {
    const add = this.#credit.take();
    if (add) this.#send({ cmd: 'credit', add });
  });

  #ping(): void {
    this.#send({ cmd: 'ping', t: this.#world.now() });
    this.#pings += 1;
    const pause = this.#pings < FIRST_PINGS ? FIRST_PING_INTERVAL : PING_INTERVAL;
    this.#cancelPing = this.#world.after(pause, () => this.#ping());
  }

  #watch(milliseconds: number): void {
    this.#cancelWatchdog = this.#world.after(milliseconds, () => {
      const silence = this.#world.now() - this.#lastHeard;
      // A clock that was set back must not keep a dead connection for ever.
      if (silence >= SILENCE_LIMIT || silence < 0) this.#lost();
      else this.#watch(SILENCE_LIMIT - silence);
    });
  }

  #lost(): void {
    if (this.#closed) return;
    if (!this.#steady) this.#failures += 1;
    this.#drop();
    this.#setLink(this.#failures >= FAILURES_BEFORE_FALLBACK ? 'fallback' : 'reconnecting');
    const pause = backoffDelay(this.#failures, this.#world.random());
    this.#cancelRetry = this.#world.after(pause, () => this.#attempt());
  }

  #drop(): void {
    this.#cancelWatchdog?.();
    this.#cancelSteady?.();
    this.#cancelPing?.();
    const socket = this.#socket;
    this.#socket = undefined;
    this.#greeted = false;
    this.#steady = false;
    this.#subscribed.clear();
    this.#credit.clear();
    if (!socket) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  #setLink(link: Link): void {
    if (link === this.#link) return;
    this.#link = link;
    this.#listener.link(link);
  }

  #send(command: Command): void {
    if (this.#greeted) this.#socket?.send(JSON.stringify(command));
  }
}
