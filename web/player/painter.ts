// Paints cameras on canvases: owns the connection, decodes, keeps one newest picture per camera, and tells the hub
// when a picture is on the screen. It runs in a worker where the browser can paint there, else in the page; it
// touches no DOM but the canvases it is given.
import { Connection, type Link, type World } from '../client/connection.ts';
import type { HubEvent, StreamChoice } from '../client/events.ts';
import { CODEC_JPEG, type Frame } from '../client/frame.ts';
import { gathered } from '../client/gathered.ts';
import { contain } from './grid.ts';
import type { FromPainter, Picture, Pixels, Placement, ToPainter } from './messages.ts';
import { Rate } from './rate.ts';

export interface Host {
  readonly world: World;
  post(message: FromPainter): void;
  /** Calls back when the browser is about to paint. */
  nextPaint(callback: () => void): void;
}

type Context = OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D;

interface Surface {
  readonly canvas: OffscreenCanvas | HTMLCanvasElement;
  readonly context: Context;
  width: number;
  height: number;
  placements: readonly Placement[];
  /** Everything is to be painted again, at the size above. */
  stale: boolean;
}

interface Decoded {
  readonly bitmap: ImageBitmap;
  readonly time: number;
}

/** Of each camera the newest only: one being decoded, one decoded and not yet painted, one on the screen. */
interface Slot {
  waiting: Frame | undefined;
  decoding: boolean;
  next: Decoded | undefined;
  shown: Decoded | undefined;
  /** What is on the canvases is not `shown` any more. */
  stale: boolean;
  painted: number;
  paintedAge: number;
  readonly rate: Rate;
}

/** What shows around a picture of another shape than its tile. */
const LETTERBOX = '#0c0f13';
const REPORT_INTERVAL = 250;
/** Somebody who looks again must not be shown a past older than this while the newest picture is on its way; ms. */
const TOO_OLD_TO_RESUME = 5_000;

export class Painter {
  readonly #host: Host;
  #connection: Connection | undefined;
  #surfaces = new Map<number, Surface>();
  #slots = new Map<string, Slot>();
  #watched: ReadonlyMap<string, StreamChoice> = new Map();
  #frozen = new Set<string>();
  #cancelReport: (() => void) | undefined;

  constructor(host: Host) {
    this.#host = host;
  }

  receive(message: ToPainter): void {
    switch (message.kind) {
      case 'open':
        this.#open(message.url);
        break;
      case 'surface':
        this.#addSurface(message.surface, message.canvas);
        break;
      case 'layout': {
        const surface = this.#surfaces.get(message.surface);
        if (!surface) break;
        Object.assign(surface, { ...message, stale: true });
        this.#sweep();
        this.#paintSoon();
        break;
      }
      case 'remove':
        this.#surfaces.delete(message.surface);
        this.#sweep();
        break;
      case 'watch':
        this.#watch(message.cameras);
        break;
      case 'freeze':
        if (message.frozen) this.#frozen.add(message.camera);
        else this.#frozen.delete(message.camera);
        this.#abandon(message.camera);
        this.#subscribe();
        break;
      case 'retry':
        this.#connection?.retry(message.cameras);
        break;
      case 'hurry':
        this.#connection?.hurry();
        break;
      case 'read': {
        const pixels = this.#read(message.surface, message.camera);
        this.#host.post({ kind: 'pixels', request: message.request, pixels });
        break;
      }
      case 'close':
        this.#close();
        break;
    }
  }

  #open(url: string): void {
    this.#connection = new Connection(url, this.#host.world, {
      frame: (frame: Frame) => this.#frame(frame),
      event: (event: HubEvent) => this.#event(event),
      link: (link: Link) => this.#host.post({ kind: 'link', link }),
    });
    this.#connection.start();
    this.#report();
  }

  #close(): void {
    this.#cancelReport?.();
    this.#connection?.close();
    this.#surfaces.clear();
    this.#watched = new Map();
    this.#frozen.clear();
    this.#sweep();
  }

  #event(event: HubEvent): void {
    if (event.type === 'gone') {
      this.#frozen.delete(event.id);
      this.#abandon(event.id);
      this.#clear(event.id);
    }
    if (event.type !== 'pong') this.#host.post({ kind: 'event', event });
  }

  #addSurface(id: number, canvas: OffscreenCanvas | HTMLCanvasElement): void {
    const context: Context | null =
      'convertToBlob' in canvas ? canvas.getContext('2d') : canvas.getContext('2d');
    if (!context) return;
    this.#surfaces.set(id, { canvas, context, width: 0, height: 0, placements: [], stale: true });
  }

  #watch(cameras: ReadonlyMap<string, StreamChoice>): void {
    const before = this.#watched;
    this.#watched = cameras;
    for (const camera of before.keys()) {
      if (!cameras.has(camera)) this.#abandon(camera);
    }
    for (const camera of cameras.keys()) {
      if (before.has(camera) || this.#frozen.has(camera)) continue;
      const shown = this.#slots.get(camera)?.shown;
      if (shown && this.#age(shown.time) > TOO_OLD_TO_RESUME) this.#clear(camera);
    }
    this.#subscribe();
    this.#sweep();
  }

  #subscribe(): void {
    const wanted = new Map([...this.#watched].filter(([camera]) => !this.#frozen.has(camera)));
    this.#connection?.want(wanted);
  }

  #frame(frame: Frame): void {
    const slot = this.#slot(frame.camera);
    if (frame.codec !== CODEC_JPEG) {
      this.#connection?.finished(frame.camera);
      return;
    }
    if (slot.waiting) this.#connection?.finished(frame.camera);
    slot.waiting = frame;
    if (!slot.decoding) void this.#decode(frame.camera, slot);
  }

  async #decode(camera: string, slot: Slot): Promise<void> {
    slot.decoding = true;
    while (slot.waiting) {
      const frame = slot.waiting;
      slot.waiting = undefined;
      const bitmap = await createImageBitmap(new Blob([frame.payload], { type: 'image/jpeg' })).catch(
        () => undefined,
      );
      if (!bitmap || !this.#isWanted(camera)) {
        // A picture that cannot be decoded costs its own place only: the next one is asked for all the same.
        bitmap?.close();
        this.#connection?.finished(camera);
        continue;
      }
      if (slot.next) {
        slot.next.bitmap.close();
        this.#connection?.finished(camera);
      }
      slot.next = { bitmap, time: frame.captureTime || frame.receiptTime };
      this.#paintSoon();
    }
    slot.decoding = false;
  }

  #isWanted(camera: string): boolean {
    return this.#watched.has(camera) && !this.#frozen.has(camera);
  }

  readonly #paintSoon = gathered(
    () => this.#paint(),
    (paint) => this.#host.nextPaint(paint),
  );

  #paint(): void {
    const finished: string[] = [];
    for (const [camera, slot] of this.#slots) {
      if (!slot.next) continue;
      slot.shown?.bitmap.close();
      slot.shown = slot.next;
      slot.next = undefined;
      slot.stale = true;
      slot.painted += 1;
      slot.paintedAge = this.#age(slot.shown.time);
      slot.rate.add(this.#host.world.now());
      finished.push(camera);
    }
    for (const surface of this.#surfaces.values()) this.#paintSurface(surface);
    for (const slot of this.#slots.values()) slot.stale = false;
    for (const camera of finished) this.#connection?.finished(camera);
  }

  #paintSurface(surface: Surface): void {
    const { canvas, context, placements } = surface;
    const all = surface.stale;
    if (all) {
      surface.stale = false;
      if (canvas.width !== surface.width) canvas.width = surface.width;
      if (canvas.height !== surface.height) canvas.height = surface.height;
      context.clearRect(0, 0, canvas.width, canvas.height);
    }
    context.fillStyle = LETTERBOX;
    for (const placement of placements) {
      const slot = this.#slots.get(placement.camera);
      if (!all && !slot?.stale) continue;
      context.fillRect(placement.x, placement.y, placement.width, placement.height);
      if (!slot?.shown) continue;
      const { bitmap } = slot.shown;
      const at = contain(placement, bitmap.width, bitmap.height);
      context.drawImage(bitmap, at.x, at.y, at.width, at.height);
    }
  }

  /** What is on its way to the screen will not be shown; the credit goes back where there still is an account. */
  #abandon(camera: string): void {
    const slot = this.#slots.get(camera);
    if (!slot) return;
    if (slot.waiting) this.#connection?.finished(camera);
    slot.waiting = undefined;
    if (slot.next) {
      slot.next.bitmap.close();
      slot.next = undefined;
      this.#connection?.finished(camera);
    }
    slot.rate.reset();
  }

  #clear(camera: string): void {
    const slot = this.#slots.get(camera);
    if (!slot?.shown) return;
    slot.shown.bitmap.close();
    slot.shown = undefined;
    slot.stale = true;
    this.#paintSoon();
  }

  /**
   * Bitmaps are large and not collected in time by themselves: those that nobody can see are closed at once. Not
   * those of frozen cameras: whoever froze a picture wants it back, and it could not be had again.
   */
  #sweep(): void {
    const placed = new Set<string>();
    for (const { placements } of this.#surfaces.values())
      for (const { camera } of placements) placed.add(camera);
    for (const [camera, slot] of this.#slots) {
      if (placed.has(camera) || this.#watched.has(camera) || this.#frozen.has(camera)) continue;
      this.#abandon(camera);
      slot.shown?.bitmap.close();
      this.#slots.delete(camera);
    }
  }

  #slot(camera: string): Slot {
    let slot = this.#slots.get(camera);
    if (!slot) {
      slot = {
        waiting: undefined,
        decoding: false,
        next: undefined,
        shown: undefined,
        stale: false,
        painted: 0,
        paintedAge: 0,
        rate: new Rate(),
      };
      this.#slots.set(camera, slot);
    }
    return slot;
  }

  #age(time: number): number {
    const offset = this.#connection?.clock.microseconds ?? 0;
    return this.#host.world.now() + (offset - time) / 1000;
  }

  #report(): void {
    this.#cancelReport = this.#host.world.after(REPORT_INTERVAL, () => this.#report());
    const now = this.#host.world.now();
    const pictures: Picture[] = [];
    for (const [camera, slot] of this.#slots) {
      if (!slot.shown) continue;
      pictures.push({
        camera,
        painted: slot.painted,
        fps: slot.rate.fps(now),
        interval: slot.rate.interval,
        captureTime: slot.shown.time,
        paintedAge: slot.paintedAge,
        width: slot.shown.bitmap.width,
        height: slot.shown.bitmap.height,
      });
    }
    const clock = this.#connection?.clock;
    this.#host.post({
      kind: 'pictures',
      clockOffset: clock?.microseconds ?? 0,
      roundTrip: clock?.roundTrip,
      pictures,
    });
  }

  /** The painted pixels of a camera's picture, without the letterbox. */
  #read(surfaceId: number, camera: string): Pixels | undefined {
    const surface = this.#surfaces.get(surfaceId);
    const placement = surface?.placements.find((candidate) => candidate.camera === camera);
    const shown = this.#slots.get(camera)?.shown;
    if (!surface || !placement || !shown || surface.stale) return undefined;
    const { x, y, width, height } = contain(placement, shown.bitmap.width, shown.bitmap.height);
    const { data } = surface.context.getImageData(x, y, width, height);
    return { width, height, data };
  }
}
