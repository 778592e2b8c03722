// The state shared by all elements of a page that show the same hub: one connection, one painter, the list of
// cameras and the shown pictures. Each element registers the cameras it shows; the engine subscribes to their union.
import type { Link } from '../client/connection.ts';
import { coalesced } from '../client/coalesced.ts';
import { parseCameras, type Camera } from '../client/events.ts';
import { Backend, type PainterLocation } from './backend.ts';
import { FallbackPlan } from './fallback.ts';
import type { HubAddress } from '../client/hub-address.ts';
import { browserMedia } from './media-browser.ts';
import { MediaStage } from './media-stage.ts';
import type { FromPainter, Lowered, Picture, Pixels, Placement, Quality, Watch } from './messages.ts';
import { browserSound } from './sound-browser.ts';
import { SoundControl } from './sound-control.ts';

/** An element that shows cameras. */
export interface Screen {
  /** Called when the cameras, their states or the link changed. */
  changed(): void;
  /** Called four times a second to update the texts on tiles. */
  tick(): void;
  /** The element to show a camera in, instead of the canvas. */
  parentOf(camera: string): HTMLElement | undefined;
  /** Whether the element shows a camera whose sound may be heard, also while it is out of view. */
  hears(camera: string): boolean;
}

const LIST_INTERVAL = 3_000;
/** How long a viewer counts as too slow for a camera. It skips a part of each group, and plays the rest; ms. */
const LAG_SHOWN = 5_000;

export class Engine {
  readonly address: HubAddress;
  readonly fallback: FallbackPlan;
  readonly sound: SoundControl;
  /** The cameras in the hub's order. Complete only if `listed` is true. */
  readonly cameras = new Map<string, Camera>();
  listed = false;
  hubVersion = '';
  readonly pictures = new Map<string, Picture>();
  readonly frozen = new Set<string>();
  /** The cameras of which less than the stream that suits their picture is shown. */
  lowered: ReadonlyMap<string, Lowered> = new Map();
  roundTrip: number | undefined;

  readonly #backend: Backend;
  /** Exists in browsers with media elements. The painter uses it if there are no video decoders. */
  readonly #stage: MediaStage | undefined;
  readonly #screens = new Map<Screen, ReadonlyMap<string, Watch>>();
  readonly #reads = new Map<number, (pixels: Pixels | undefined) => void>();
  #socketLink: Link = 'connecting';
  /** Whether the hub responds to HTTP requests while the socket fails. */
  #reachable = false;
  /** Whether the hub responds but does not allow this page to read its responses. */
  #isUnreadable = false;
  #clockOffset = 0;
  #laggedAt = new Map<string, number>();
  #nextNumber = 1;
  #sentWatch = '';
  #listTimer: ReturnType<typeof setInterval> | undefined;

  constructor(address: HubAddress) {
    this.address = address;
    this.fallback = new FallbackPlan(address);
    this.sound = new SoundControl(browserSound, {
      hub: address.hub,
      cameraOf: (id) => this.cameras.get(id),
      isHeard: (id) => !this.frozen.has(id) && [...this.#screens.keys()].some((screen) => screen.hears(id)),
      now: () => Date.now() * 1000 + this.#clockOffset,
      listen: (camera) => this.#backend.send({ kind: 'listen', camera }),
      changed: () => this.#changed(),
    });
    this.#backend = new Backend((message) => this.#receive(message));
    const media = browserMedia();
    this.#stage =
      media &&
      new MediaStage(
        media,
        (message, transfer) => this.#backend.send({ kind: 'media', message }, transfer),
        (camera) => this.#parentsOf(camera),
      );
    this.#backend.send({ kind: 'open', url: address.socket, media: media !== undefined });
    document.addEventListener('visibilitychange', this.#onVisibilityChange);
    window.addEventListener('online', this.#reconnectNow);
  }

  /**
   * Fallback requires a hub that responds to HTTP requests. Without any response the link is reconnecting, and the last
   * pictures stay.
   */
  get link(): Link {
    return this.#socketLink === 'fallback' && !this.#reachable ? 'reconnecting' : this.#socketLink;
  }

  /**
   * Whether the hub refuses pages of this origin, as far as a page can determine: it responds, but neither its socket nor
   * its camera list is accessible. If the list was available before, there is another cause.
   */
  get refused(): boolean {
    return (
      this.link === 'fallback' && this.#isUnreadable && !this.listed && this.address.isForeign(window.origin)
    );
  }

  /** Whether this viewer has lately been too slow for the camera's video. */
  isLagging(camera: string): boolean {
    return performance.now() - (this.#laggedAt.get(camera) ?? -Infinity) < LAG_SHOWN;
  }

  get paintsIn(): PainterLocation | undefined {
    return this.#backend.location;
  }

  add(screen: Screen): void {
    this.#screens.set(screen, new Map());
  }

  /** Removes an element. Returns true if it was the last one. */
  remove(screen: Screen): boolean {
    this.#screens.delete(screen);
    this.#sendWatch();
    return this.#screens.size === 0;
  }

  close(): void {
    document.removeEventListener('visibilitychange', this.#onVisibilityChange);
    window.removeEventListener('online', this.#reconnectNow);
    clearInterval(this.#listTimer);
    this.fallback.clear();
    this.sound.close();
    this.#stage?.close();
    this.#backend.close();
  }

  /** Sets the cameras that a screen shows, replacing its previous set. */
  watch(screen: Screen, cameras: ReadonlyMap<string, Watch>): void {
    if (!this.#screens.has(screen)) return;
    this.#screens.set(screen, cameras);
    this.#sendWatch();
    this.#stage?.arrange();
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

  /** Freezes a camera everywhere on this page. A frozen camera is not subscribed. */
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

  /** Called if no MPEG-1 of a camera arrives. */
  refuseMpeg1(camera: string): void {
    this.#backend.send({ kind: 'noMpeg1', camera });
  }

  /** µs to add to the local clock to get the hub's. */
  get clockOffset(): number {
    return this.#clockOffset;
  }

  /** The current age of a shown picture in ms. */
  age(picture: Picture): number {
    return Date.now() + (this.#clockOffset - picture.captureTime) / 1000;
  }

  read(surface: number, camera: string): Promise<Pixels | undefined> {
    const pixels = this.#stage?.read(camera);
    if (pixels) return Promise.resolve(pixels);
    const request = this.#nextNumber++;
    return new Promise((resolve) => {
      this.#reads.set(request, resolve);
      this.#backend.send({ kind: 'read', request, surface, camera });
    });
  }

  #receive(message: FromPainter): void {
    switch (message.kind) {
      case 'link':
        this.#setLink(message.link);
        break;
      case 'event':
        this.#handleEvent(message.event);
        break;
      case 'pictures':
        this.#clockOffset = message.clockOffset;
        this.roundTrip = message.roundTrip;
        for (const { camera, painted, paintedAge } of message.pictures)
          if (painted !== this.pictures.get(camera)?.painted) this.sound.pictured(camera, paintedAge);
        this.pictures.clear();
        for (const picture of message.pictures) this.pictures.set(picture.camera, picture);
        this.#setLowered(message.lowered);
        for (const screen of this.#screens.keys()) screen.tick();
        break;
      case 'pixels':
        this.#reads.get(message.request)?.(message.pixels);
        this.#reads.delete(message.request);
        break;
      case 'media':
        this.#stage?.receive(message.message);
        break;
      case 'sound':
        this.sound.receive(message.unit);
        break;
      case 'ready':
      case 'unsupported':
        break;
    }
  }

  #handleEvent(event: Extract<FromPainter, { kind: 'event' }>['event']): void {
    switch (event.type) {
      case 'hello':
        this.hubVersion = event.version;
        this.#setCameras(event.cameras);
        break;
      case 'camera':
        this.cameras.set(event.camera.id, event.camera);
        this.#changed();
        break;
      case 'gone':
        this.cameras.delete(event.id);
        this.frozen.delete(event.id);
        this.#laggedAt.delete(event.id);
        this.#changed();
        break;
      case 'stats':
        for (const [id, { lagging }] of event.cameras) if (lagging) this.#laggedAt.set(id, performance.now());
        break;
      case 'error':
      case 'pong':
        break;
    }
  }

  #setLowered(lowered: ReadonlyMap<string, Lowered>): void {
    const steps = (all: ReadonlyMap<string, Lowered>): string =>
      JSON.stringify([...all].map(([camera, { step }]) => [camera, step]));
    const isChanged = steps(lowered) !== steps(this.lowered);
    this.lowered = lowered;
    if (isChanged) this.#changed();
  }

  #setCameras(cameras: readonly Camera[]): void {
    this.listed = true;
    this.cameras.clear();
    for (const camera of cameras) this.cameras.set(camera.id, camera);
    this.#changed();
  }

  #setLink(link: Link): void {
    this.#socketLink = link;
    clearInterval(this.#listTimer);
    if (link === 'fallback') {
      void this.#pollList();
      this.#listTimer = setInterval(() => void this.#pollList(), LIST_INTERVAL);
    } else {
      this.#reachable = false;
      this.#isUnreadable = false;
      this.fallback.clear();
    }
    this.#changed();
  }

  /** Polls the camera list while the socket is not available. */
  async #pollList(): Promise<void> {
    const response = await this.#fetchList();
    const rows = rowsOf(response);
    const responds = response !== undefined || (await this.#isReachable());
    if (this.#socketLink !== 'fallback') return;
    this.#reachable = responds;
    this.#isUnreadable = responds && response === undefined;
    // Images of an unreachable hub would freeze and look live.
    if (!responds) this.fallback.clear();
    if (rows) this.#setCameras(parseCameras(rows));
    this.#changed();
  }

  /** Whether the hub can be reached. A page of another origin may have access to pictures but not to the list. */
  async #isReachable(): Promise<boolean> {
    try {
      await fetch(this.address.cameras, { cache: 'no-store', mode: 'no-cors' });
      return true;
    } catch {
      return false;
    }
  }

  /** Fetches the REST list of cameras, unparsed; `undefined` if the hub does not respond. */
  async fetchRows(): Promise<unknown[] | undefined> {
    return rowsOf(await this.#fetchList());
  }

  /** Fetches the response to a request for the list, including a refusal; `undefined` if it cannot be read. */
  async #fetchList(): Promise<{ readonly body: unknown } | undefined> {
    try {
      const response = await fetch(this.address.cameras, { cache: 'no-store' });
      return { body: await response.json().catch(() => undefined) };
    } catch {
      return undefined;
    }
  }

  /** Where the screens that watch a camera show it. */
  #parentsOf(camera: string): HTMLElement[] {
    const watching = [...this.#screens].filter(([, cameras]) => cameras.has(camera));
    return watching.flatMap(([screen]) => screen.parentOf(camera) ?? []);
  }

  /** Coalesced, because many cameras change at once when a hub starts. */
  readonly #changed = coalesced(() => {
    for (const screen of this.#screens.keys()) screen.changed();
  });

  #sendWatch(): void {
    this.sound.update();
    const cameras = new Map<string, Watch>();
    if (document.visibilityState !== 'hidden') {
      for (const watched of this.#screens.values()) {
        for (const [camera, watch] of watched) cameras.set(camera, combine(cameras.get(camera), watch));
      }
    }
    const text = JSON.stringify([...cameras]);
    if (text === this.#sentWatch) return;
    this.#sentWatch = text;
    this.#backend.send({ kind: 'watch', cameras });
  }

  readonly #onVisibilityChange = (): void => {
    this.#sendWatch();
    if (document.visibilityState === 'visible') this.#reconnectNow();
    for (const screen of this.#screens.keys()) screen.changed();
  };

  readonly #reconnectNow = (): void => this.#backend.send({ kind: 'reconnectNow' });
}

/** The socket carries one stream per camera, so it must serve all screens: the main stream serves every size. */
function combine(one: Watch | undefined, other: Watch): Watch {
  if (!one) return other;
  const streams = [one.stream, other.stream];
  const stream = (['main', 'auto'] as const).find((choice) => streams.includes(choice)) ?? 'sub';
  const qualities = [one.quality, other.quality];
  return {
    stream,
    native: one.native || other.native,
    mpeg1: (one.mpeg1 ?? false) && (other.mpeg1 ?? false),
    quality: PRECEDENCE.find((quality) => qualities.includes(quality)) ?? 'auto',
  };
}

/** Where elements differ, the first of these. */
const PRECEDENCE: readonly Quality[] = ['best', 'auto', 'sub', 'keys'];

function rowsOf(response: { readonly body: unknown } | undefined): unknown[] | undefined {
  const { data } = (response?.body ?? {}) as { data?: unknown };
  return Array.isArray(data) ? data : undefined;
}

const engines = new Map<string, Engine>();

/** Returns the engine of a hub and token, and adds `screen` to it. The engine exists while an element uses it. */
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
