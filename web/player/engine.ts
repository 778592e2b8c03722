// What all elements of a page that show the same hub share: one connection, one painter, the list of cameras, and
// the pictures on the screen. Elements say what they show; the engine adds it up.
import type { Link } from '../client/connection.ts';
import { gathered } from '../client/gathered.ts';
import { parseCameras, type Camera, type DeliveryCounts, type StreamChoice } from '../client/events.ts';
import { Backend, type Where } from './backend.ts';
import { FallbackPlan } from './fallback.ts';
import type { HubAddress } from '../client/hub-address.ts';
import type { FromPainter, Picture, Pixels, Placement } from './messages.ts';

/** An element that shows cameras. */
export interface Screen {
  /** The cameras, their states or the link changed. */
  changed(): void;
  /** Four times a second, and only then: time to bring what is written on tiles up to date. */
  tick(): void;
}

const LIST_INTERVAL = 3_000;

export class Engine {
  readonly address: HubAddress;
  readonly fallback: FallbackPlan;
  /** In the hub's order. Empty does not mean that there are none until `listed`. */
  readonly cameras = new Map<string, Camera>();
  listed = false;
  hubVersion = '';
  readonly pictures = new Map<string, Picture>();
  readonly frozen = new Set<string>();
  delivery: ReadonlyMap<string, DeliveryCounts> = new Map();
  roundTrip: number | undefined;

  readonly #backend: Backend;
  readonly #screens = new Map<Screen, ReadonlyMap<string, StreamChoice>>();
  readonly #reads = new Map<number, (pixels: Pixels | undefined) => void>();
  #socketLink: Link = 'connecting';
  /** Whether the hub answers at all while its socket does not. */
  #answers = false;
  /** Whether it answers, but lets this page read nothing. */
  #unreadable = false;
  #clockOffset = 0;
  #nextNumber = 1;
  #sentWatch = '';
  #listTimer: ReturnType<typeof setInterval> | undefined;

  constructor(address: HubAddress) {
    this.address = address;
    this.fallback = new FallbackPlan(address);
    this.#backend = new Backend((message) => this.#receive(message));
    this.#backend.send({ kind: 'open', url: address.socket });
    document.addEventListener('visibilitychange', this.#visibility);
    window.addEventListener('online', this.#hurry);
  }

  /** A hub that answers nothing at all is not in fallback: it is gone, and what stands on the screen only ages. */
  get link(): Link {
    return this.#socketLink === 'fallback' && !this.#answers ? 'reconnecting' : this.#socketLink;
  }

  /**
   * Whether the hub refuses pages of this origin, as far as a page can tell: it is there, but neither its socket nor
   * its list can be had. A hub that has once said which cameras there are has other troubles.
   */
  get refused(): boolean {
    return (
      this.link === 'fallback' && this.#unreadable && !this.listed && this.address.isForeign(window.origin)
    );
  }

  get paintsIn(): Where | undefined {
    return this.#backend.where;
  }

  add(screen: Screen): void {
    this.#screens.set(screen, new Map());
  }

  /** True when that was the last one. */
  remove(screen: Screen): boolean {
    this.#screens.delete(screen);
    this.#sendWatch();
    return this.#screens.size === 0;
  }

  close(): void {
    document.removeEventListener('visibilitychange', this.#visibility);
    window.removeEventListener('online', this.#hurry);
    clearInterval(this.#listTimer);
    this.fallback.clear();
    this.#backend.close();
  }

  /** What this screen shows now, and nothing else. */
  watch(screen: Screen, cameras: ReadonlyMap<string, StreamChoice>): void {
    if (!this.#screens.has(screen)) return;
    this.#screens.set(screen, cameras);
    this.#sendWatch();
  }

  addSurface(canvas: HTMLCanvasElement): number {
    const surface = this.#nextNumber++;
    this.#backend.send({ kind: 'surface', surface, canvas });
    return surface;
  }

  removeSurface(surface: number): void {
    this.#backend.send({ kind: 'remove', surface });
  }

  layout(surface: number, width: number, height: number, placements: readonly Placement[]): void {
    this.#backend.send({ kind: 'layout', surface, width, height, placements });
  }

  /** A frozen camera stands still wherever this page shows it, and costs nothing. */
  freeze(camera: string, frozen: boolean): void {
    if (this.frozen.has(camera) === frozen) return;
    if (frozen) this.frozen.add(camera);
    else this.frozen.delete(camera);
    this.#backend.send({ kind: 'freeze', camera, frozen });
    this.#changed();
  }

  retry(camera: string): void {
    this.#backend.send({ kind: 'retry', cameras: [camera] });
  }

  /** µs to add to our clock to get the hub's. */
  get clockOffset(): number {
    return this.#clockOffset;
  }

  /** The age in ms of the picture that is on the screen. */
  age(picture: Picture): number {
    return Date.now() + (this.#clockOffset - picture.captureTime) / 1000;
  }

  read(surface: number, camera: string): Promise<Pixels | undefined> {
    const request = this.#nextNumber++;
    return new Promise((resolve) => {
      this.#reads.set(request, resolve);
      this.#backend.send({ kind: 'read', request, surface, camera });
    });
  }

  #receive(message: FromPainter): void {
    switch (message.kind) {
      case 'link':
        this.#linkIs(message.link);
        break;
      case 'event':
        this.#event(message.event);
        break;
      case 'pictures':
        this.#clockOffset = message.clockOffset;
        this.roundTrip = message.roundTrip;
        this.pictures.clear();
        for (const picture of message.pictures) this.pictures.set(picture.camera, picture);
        for (const screen of this.#screens.keys()) screen.tick();
        break;
      case 'pixels':
        this.#reads.get(message.request)?.(message.pixels);
        this.#reads.delete(message.request);
        break;
      case 'ready':
      case 'unable':
        break;
    }
  }

  #event(event: Extract<FromPainter, { kind: 'event' }>['event']): void {
    switch (event.type) {
      case 'hello':
        this.hubVersion = event.version;
        this.#list(event.cameras);
        break;
      case 'camera':
        this.cameras.set(event.camera.id, event.camera);
        this.#changed();
        break;
      case 'gone':
        this.cameras.delete(event.id);
        this.frozen.delete(event.id);
        this.#changed();
        break;
      case 'stats':
        this.delivery = event.cameras;
        break;
      case 'error':
      case 'pong':
        break;
    }
  }

  #list(cameras: readonly Camera[]): void {
    this.listed = true;
    this.cameras.clear();
    for (const camera of cameras) this.cameras.set(camera.id, camera);
    this.#changed();
  }

  #linkIs(link: Link): void {
    this.#socketLink = link;
    clearInterval(this.#listTimer);
    if (link === 'fallback') {
      void this.#askWithoutSocket();
      this.#listTimer = setInterval(() => void this.#askWithoutSocket(), LIST_INTERVAL);
    } else {
      this.#answers = false;
      this.#unreadable = false;
      this.fallback.clear();
    }
    this.#changed();
  }

  /** Without the socket nobody tells us of cameras and states: ask. */
  async #askWithoutSocket(): Promise<void> {
    const answer = await this.#ask();
    const rows = rowsOf(answer);
    const answers = answer !== undefined || (await this.#reaches());
    if (this.#socketLink !== 'fallback') return;
    this.#answers = answers;
    this.#unreadable = answers && answer === undefined;
    // Images of a hub that is gone would stand still and look alive.
    if (!answers) this.fallback.clear();
    if (rows) this.#list(parseCameras(rows));
    this.#changed();
  }

  /** A page of another origin may be refused the list and still be given pictures. */
  async #reaches(): Promise<boolean> {
    try {
      await fetch(this.address.cameras, { cache: 'no-store', mode: 'no-cors' });
      return true;
    } catch {
      return false;
    }
  }

  /** The REST list of cameras as it comes; `undefined` when the hub does not answer. */
  async rows(): Promise<unknown[] | undefined> {
    return rowsOf(await this.#ask());
  }

  /** What is said to who asks for the list, be it a refusal; `undefined` when nothing can be read. */
  async #ask(): Promise<{ readonly body: unknown } | undefined> {
    try {
      const response = await fetch(this.address.cameras, { cache: 'no-store' });
      return { body: await response.json().catch(() => undefined) };
    } catch {
      return undefined;
    }
  }

  /** At a hub's start a hundred cameras change at once: screens look once. */
  readonly #changed = gathered(() => {
    for (const screen of this.#screens.keys()) screen.changed();
  });

  #sendWatch(): void {
    const cameras = new Map<string, StreamChoice>();
    if (document.visibilityState !== 'hidden') {
      for (const watched of this.#screens.values()) {
        for (const [camera, stream] of watched) {
          // The larger stream serves small and large; the socket carries one per camera.
          if (stream === 'main' || !cameras.has(camera)) cameras.set(camera, stream);
        }
      }
    }
    const text = JSON.stringify([...cameras]);
    if (text === this.#sentWatch) return;
    this.#sentWatch = text;
    this.#backend.send({ kind: 'watch', cameras });
  }

  readonly #visibility = (): void => {
    this.#sendWatch();
    if (document.visibilityState === 'visible') this.#hurry();
    for (const screen of this.#screens.keys()) screen.changed();
  };

  readonly #hurry = (): void => this.#backend.send({ kind: 'hurry' });
}

function rowsOf(answer: { readonly body: unknown } | undefined): unknown[] | undefined {
  const { data } = (answer?.body ?? {}) as { data?: unknown };
  return Array.isArray(data) ? data : undefined;
}

const engines = new Map<string, Engine>();

/** One engine per hub and token, alive while an element uses it. */
export function joinEngine(address: HubAddress, screen: Screen): Engine {
  let engine = engines.get(address.socket);
  if (!engine) {
    engine = new Engine(address);
    engines.set(address.socket, engine);
  }
  engine.add(screen);
  return engine;
}

export function leaveEngine(engine: Engine, screen: Screen): void {
  if (!engine.remove(screen)) return;
  engines.delete(engine.address.socket);
  engine.close();
}
