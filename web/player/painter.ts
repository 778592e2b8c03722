// Paints cameras on canvases. It owns the connection, decodes frames, keeps the newest picture of each camera, and
// returns credit when a picture is painted. It runs in a worker or in the page and uses no DOM except the canvases that
// it receives.
import { Connection, type Link, type Platform } from '../client/connection.ts';
import type { HubEvent, StreamChoice } from '../client/events.ts';
import { CODEC_JPEG, type Frame } from '../client/frame.ts';
import { coalesced } from '../client/coalesced.ts';
import { contain } from './grid.ts';
import type { FromPainter, Picture, Pixels, Placement, ToPainter } from './messages.ts';
import { Rate } from './rate.ts';

export interface Host {
  readonly platform: Platform;
  post(message: FromPainter): void;
  /** Calls back before the browser's next paint. */
  nextPaint(callback: () => void): void;
}

type Context = OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D;

interface Surface {
  readonly canvas: OffscreenCanvas | HTMLCanvasElement;
  readonly context: Context;
  width: number;
  height: number;
  placements: readonly Placement[];
  /** Whether everything must be painted again at the size above. */
  stale: boolean;
}

interface Decoded {
  readonly bitmap: ImageBitmap;
  readonly time: number;
}

/** The pictures of one camera, only the newest of each stage: waiting or being decoded, decoded, and on the screen. */
interface Slot {
  waiting: Frame | undefined;
  decoding: boolean;
  next: Decoded | undefined;
  shown: Decoded | undefined;
  /** Whether the canvases do not show `shown` yet. */
  stale: boolean;
  painted: number;
  paintedAge: number;
  readonly rate: Rate;
}

/** The colour around a picture whose aspect ratio differs from its tile's. */
const LETTERBOX = '#0c0f13';
const REPORT_INTERVAL = 250;
/** An older picture is not shown again while the newest one is being fetched; ms. */
const MAX_RESUME_AGE = 5_000;

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
        this.#releaseUnused();
        this.#schedulePaint();
        break;
      }
      case 'remove':
        this.#surfaces.delete(message.surface);
        this.#releaseUnused();
        break;
      case 'watch':
        this.#watch(message.cameras);
        break;
      case 'freeze':
        if (message.frozen) this.#frozen.add(message.camera);
        else this.#frozen.delete(message.camera);
        this.#discardPending(message.camera);
        this.#subscribe();
        break;
      case 'retry':
        this.#connection?.retry(message.cameras);
        break;
      case 'reconnectNow':
        this.#connection?.reconnectNow();
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
    this.#connection = new Connection(url, this.#host.platform, {
      frame: (frame: Frame) => this.#handleFrame(frame),
      event: (event: HubEvent) => this.#handleEvent(event),
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
    this.#releaseUnused();
  }

  #handleEvent(event: HubEvent): void {
    if (event.type === 'gone') {
      this.#frozen.delete(event.id);
      this.#discardPending(event.id);
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
      if (!cameras.has(camera)) this.#discardPending(camera);
    }
    for (const camera of cameras.keys()) {
      if (before.has(camera) || this.#frozen.has(camera)) continue;
      const shown = this.#slots.get(camera)?.shown;
      if (shown && this.#age(shown.time) > MAX_RESUME_AGE) this.#clear(camera);
    }
    this.#subscribe();
    this.#releaseUnused();
  }

  #subscribe(): void {
    const wanted = new Map([...this.#watched].filter(([camera]) => !this.#frozen.has(camera)));
    this.#connection?.setWanted(wanted);
  }

  #handleFrame(frame: Frame): void {
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
        // A picture that cannot be decoded returns its credit like any other.
        bitmap?.close();
        this.#connection?.finished(camera);
        continue;
      }
      if (slot.next) {
        slot.next.bitmap.close();
        this.#connection?.finished(camera);
      }
      slot.next = { bitmap, time: frame.captureTime || frame.receiptTime };
      this.#schedulePaint();
    }
    slot.decoding = false;
  }

  #isWanted(camera: string): boolean {
    return this.#watched.has(camera) && !this.#frozen.has(camera);
  }

  readonly #schedulePaint = coalesced(
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
      slot.rate.add(this.#host.platform.now());
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

  /** Discards pictures that are not painted yet and returns their credit. */
  #discardPending(camera: string): void {
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
    this.#schedulePaint();
  }

  /**
   * Closes the bitmaps of cameras that are neither placed nor watched, because bitmaps are large and not garbage-collected
   * in time. Those of frozen cameras are kept, because a frozen picture cannot be fetched again.
   */
  #releaseUnused(): void {
    const placed = new Set<string>();
    for (const { placements } of this.#surfaces.values())
      for (const { camera } of placements) placed.add(camera);
    for (const [camera, slot] of this.#slots) {
      if (placed.has(camera) || this.#watched.has(camera) || this.#frozen.has(camera)) continue;
      this.#discardPending(camera);
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
    return this.#host.platform.now() + (offset - time) / 1000;
  }

  #report(): void {
    this.#cancelReport = this.#host.platform.after(REPORT_INTERVAL, () => this.#report());
    const now = this.#host.platform.now();
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

  /** Returns the painted pixels of a camera's picture, without the letterbox. */
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
