// One viewer's connection to the hub's wall socket: reconnects, keeps the wanted cameras subscribed, and manages
// credit. It uses no DOM and does not decode pictures, so it runs in a worker and in a page. Sockets, clock and
// timers are passed in, so that tests need neither real sockets nor sleeps.
import { backoffDelay } from './backoff.ts';
import { ClockOffset } from './clock-offset.ts';
import { Credit } from './credit.ts';
import { parseEvent, type Command, type HubEvent, type Subscription } from './events.ts';
import { decodeFrame, decodeSound, isNative, type Frame, type SoundUnit } from './frame.ts';
import { coalesced } from './coalesced.ts';

/** The part of a WebSocket that is used. */
export interface Socket {
  binaryType: string;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  send(text: string): void;
  close(): void;
}

export interface Platform {
  openSocket(url: string, protocol?: string): Socket;
  /** ms since the Unix epoch. */
  now(): number;
  /** Calls back once. Returns a function that cancels the callback. */
  after(milliseconds: number, callback: () => void): () => void;
  random(): number;
}

export type Link = 'connecting' | 'open' | 'reconnecting' | 'fallback';

export interface Listener {
  /** A frame of a wanted camera. Its credit is held until `finished`. */
  frame(frame: Frame): void;
  /** A unit of the sound of the camera that was subscribed with it. */
  sound(unit: SoundUnit): void;
  event(event: HubEvent): void;
  link(link: Link): void;
}

export const PROTOCOL = 'ocelli.v2';

const SILENCE_LIMIT = 10_000;
const FAILURES_BEFORE_FALLBACK = 3;
/**
 * A connection that ends sooner after hello counts as a failure. Otherwise the client would reconnect without delay to
 * a hub that closes right after hello.
 */
const STABLE_AFTER = 5_000;
const PING_INTERVAL = 5_000;
/** The first pings are sent in quick succession, so that ages are correct from the start. */
const FIRST_PINGS = 3;
const FIRST_PING_INTERVAL = 300;

export class Connection {
  readonly clock = new ClockOffset();
  readonly #credit = new Credit();
  readonly #url: string;
  readonly #platform: Platform;
  readonly #listener: Listener;

  #wanted = new Map<string, Subscription>();
  /**
   * The current subscriptions, in the form of `optionsOf`. A camera that the hub refused is not included, and is
   * subscribed when it appears.
   */
  #subscribed = new Map<string, string>();
  #socket: Socket | undefined;
  #helloReceived = false;
  #stable = false;
  #link: Link = 'connecting';
  #failures = 0;
  #lastMessageAt = 0;
  #pings = 0;
  #closed = false;
  #cancelRetry: (() => void) | undefined;
  #cancelWatchdog: (() => void) | undefined;
  #cancelStable: (() => void) | undefined;
  #cancelPing: (() => void) | undefined;

  constructor(url: string, platform: Platform, listener: Listener) {
    this.#url = url;
    this.#platform = platform;
    this.#listener = listener;
  }

  get link(): Link {
    return this.#link;
  }

  start(): void {
    this.#attempt();
  }

  /** Closes the connection permanently. */
  close(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#closeSocket();
  }

  /** Reconnects now instead of after the delay, because the network is back or the page is visible again. */
  reconnectNow(): void {
    if (this.#socket || this.#closed) return;
    this.#cancelRetry?.();
    this.#attempt();
  }

  /** Sets the wanted cameras, replacing the previous set. Idempotent. */
  setWanted(cameras: ReadonlyMap<string, Subscription>): void {
    this.#wanted = new Map(cameras);
    this.#reconcile();
  }

  /** Starts a camera's subscription over, so that the hub sends its newest group from the key frame on. */
  restart(camera: string): void {
    if (!this.#subscribed.has(camera)) return;
    this.#forget(camera);
    this.#send({ cmd: 'unsubscribe', cameras: [camera] });
    this.#reconcile();
  }

  /** Marks a delivered frame as painted, taken by a decoder or discarded, which returns its credit. */
  finished(camera: string): void {
    this.#credit.finished(camera, this.#platform.now());
    this.#scheduleCredit();
  }

  retry(cameras: readonly string[]): void {
    this.#send({ cmd: 'retry', cameras });
  }

  #attempt(): void {
    this.#lastMessageAt = this.#platform.now();
    let socket: Socket;
    try {
      socket = this.#platform.openSocket(this.#url, PROTOCOL);
    } catch {
      // The page's policy may block the socket. The fallback then uses MJPEG.
      this.#onLost();
      return;
    }
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => this.#onLost();
    this.#watch(SILENCE_LIMIT);
  }

  #receive(data: unknown): void {
    this.#lastMessageAt = this.#platform.now();
    if (data instanceof ArrayBuffer) {
      const frame = decodeFrame(data);
      const sound = frame ? undefined : decodeSound(data);
      if (frame && this.#credit.arrived(frame.camera, this.#lastMessageAt, isNative(frame.codec)))
        this.#listener.frame(frame);
      else if (sound && this.#wanted.get(sound.camera)?.sound) this.#listener.sound(sound);
    } else if (typeof data === 'string') {
      const event = parseEvent(data);
      if (event) this.#handle(event);
    }
  }

  #handle(event: HubEvent): void {
    switch (event.type) {
      case 'hello':
        this.#handleHello();
        break;
      case 'pong':
        this.clock.add(event.t, this.#platform.now(), event.time);
        this.#credit.setRoundTrip(this.clock.roundTrip ?? 0);
        this.#sendCredit(true);
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
    // After the listener, which may want cameras differently now. A camera that appeared may have been refused before.
    if (event.type === 'hello' || (event.type === 'camera' && this.#wanted.has(event.camera.id)))
      this.#reconcile();
  }

  #handleHello(): void {
    this.#helloReceived = true;
    this.clock.reset();
    this.#cancelStable?.();
    this.#cancelStable = this.#platform.after(STABLE_AFTER, () => {
      this.#stable = true;
      this.#failures = 0;
    });
    this.#setLink('open');
    this.#pings = 0;
    this.#ping();
  }

  /** Removes the state of a subscription that the hub has ended. */
  #forget(camera: string): void {
    this.#subscribed.delete(camera);
    this.#credit.close(camera);
  }

  #reconcile(): void {
    if (!this.#helloReceived) return;
    const removed = [...this.#subscribed.keys()].filter((camera) => !this.#wanted.has(camera));
    if (removed.length > 0) {
      removed.forEach((camera) => this.#forget(camera));
      this.#send({ cmd: 'unsubscribe', cameras: removed });
    }
    const added = new Map<string, { readonly subscription: Subscription; readonly cameras: string[] }>();
    for (const [camera, subscription] of this.#wanted) {
      const options = optionsOf(subscription);
      if (this.#subscribed.get(camera) === options) continue;
      this.#subscribed.set(camera, options);
      const group = added.get(options) ?? { subscription, cameras: [] };
      group.cameras.push(camera);
      added.set(options, group);
    }
    for (const { subscription, cameras } of added.values()) this.#subscribe(subscription, cameras);
  }

  #subscribe(subscription: Subscription, cameras: readonly string[]): void {
    const { stream, codecs, keyOnly, sound = false, pictures = true } = subscription;
    const native = codecs.length > 0;
    // Without credit the hub sends no pictures, and sound needs none.
    let credit = 0;
    for (const camera of cameras) {
      if (pictures) credit = this.#credit.open(camera, native);
      else this.#credit.close(camera);
    }
    // Without `codecs` everything is JPEG.
    this.#send({
      cmd: 'subscribe',
      cameras,
      credit,
      stream,
      ...(native && { codecs: [...codecs, 'jpeg'] }),
      ...(keyOnly && { keyOnly }),
      ...(sound && { sound }),
    });
  }

  /** One message for all the frames finished in the same turn, if their credit cannot wait. */
  readonly #scheduleCredit = coalesced(() => this.#sendCredit(false));

  #sendCredit(all: boolean): void {
    const add = this.#credit.take(all);
    if (add) this.#send({ cmd: 'credit', add });
  }

  #ping(): void {
    this.#send({ cmd: 'ping', t: this.#platform.now() });
    this.#pings += 1;
    const delay = this.#pings < FIRST_PINGS ? FIRST_PING_INTERVAL : PING_INTERVAL;
    this.#cancelPing = this.#platform.after(delay, () => this.#ping());
  }

  #watch(milliseconds: number): void {
    this.#cancelWatchdog = this.#platform.after(milliseconds, () => {
      const silence = this.#platform.now() - this.#lastMessageAt;
      // A negative value means that the clock was set back. A dead connection must not stay open because of it.
      if (silence >= SILENCE_LIMIT || silence < 0) this.#onLost();
      else this.#watch(SILENCE_LIMIT - silence);
    });
  }

  #onLost(): void {
    if (this.#closed) return;
    if (!this.#stable) this.#failures += 1;
    this.#closeSocket();
    this.#setLink(this.#failures >= FAILURES_BEFORE_FALLBACK ? 'fallback' : 'reconnecting');
    const delay = backoffDelay(this.#failures, this.#platform.random());
    this.#cancelRetry = this.#platform.after(delay, () => this.#attempt());
  }

  #closeSocket(): void {
    this.#cancelWatchdog?.();
    this.#cancelStable?.();
    this.#cancelPing?.();
    const socket = this.#socket;
    this.#socket = undefined;
    this.#helloReceived = false;
    this.#stable = false;
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
    if (this.#helloReceived) this.#socket?.send(JSON.stringify(command));
  }
}

/** A subscription's options in a form that can be compared. */
function optionsOf({
  stream,
  codecs,
  keyOnly = false,
  sound = false,
  pictures = true,
}: Subscription): string {
  return JSON.stringify({ stream, codecs, keyOnly, sound, pictures });
}
