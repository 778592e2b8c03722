// Paints cameras on canvases. It owns the connection and the newest pictures of each camera, and returns credit when a
// JPEG is painted or a decoder has taken a unit of video. It runs in a worker or in the page and uses no DOM except the
// canvases that it receives.
import { Connection, type Link, type Platform } from '../client/connection.ts';
import type { Camera, HubEvent, StreamChoice, Subscription } from '../client/events.ts';
import { CODEC_H264, CODEC_H265, type Frame } from '../client/frame.ts';
import { coalesced } from '../client/coalesced.ts';
import type { Form } from './arrivals.ts';
import { LoadControl } from './load-control.ts';
import type { Step } from './load-ladder.ts';
import type { FromPainter, Lowered, NotNative, Picture, PictureCodec, ToPainter, Watch } from './messages.ts';
import { MediaElements, type MediaDecoder } from './media-decoder.ts';
import type { MediaFailure, ToMedia } from './media-messages.ts';
import { NativeDecoder } from './native-decoder.ts';
import { NativePolicy } from './native-policy.ts';
import { Slot, type SlotHost, type VideoEvents } from './slot.ts';
import { chooseStream, hasSubstream } from './stream-choice.ts';
import { Surfaces } from './surfaces.ts';
import type { NoVideo, VideoPlatform } from './video-platform.ts';

export interface Host {
  readonly platform: Platform;
  readonly video: VideoPlatform | NoVideo;
  post(message: FromPainter, transfer?: Transferable[]): void;
  /** Calls back before the browser's next paint. */
  nextPaint(callback: () => void): void;
}

const REPORT_INTERVAL = 250;
/** An older picture is not shown again while the newest one is being fetched; ms. */
const MAX_RESUME_AGE = 5_000;
/** How long MPEG-1 that the hub did not make is not asked for again; ms. */
const NO_MPEG1 = 300_000;

export class Painter {
  readonly #host: Host;
  #policy: NativePolicy;
  /** The media elements of the page, if they are used. */
  #media: MediaElements | undefined;
  readonly #slotHost: SlotHost;
  #connection: Connection | undefined;
  #surfaces = new Surfaces();
  #slots = new Map<string, Slot>();
  #watched: ReadonlyMap<string, Watch> = new Map();
  #subscribed: ReadonlyMap<string, Subscription> = new Map();
  /** The streams that suit the pictures. */
  #suitable = new Map<string, StreamChoice>();
  readonly #load: LoadControl;
  /** The cameras that the page shows as MPEG-1, with the number of pictures that were painted before it stops. */
  #mpeg1 = new Map<string, number>();
  /** Until when the hub makes no MPEG-1 of a camera. */
  #noMpeg1 = new Map<string, number>();
  #frozen = new Set<string>();
  /** The camera whose sound is wanted, and how its pictures were last subscribed. */
  #heard: string | undefined;
  #heardAs: Subscription | undefined;
  #cancelReport: (() => void) | undefined;

  constructor(host: Host) {
    this.#host = host;
    this.#policy = new NativePolicy(host.video, host.platform, () => this.#subscribe());
    this.#load = new LoadControl((camera) => {
      const slot = this.#slots.get(camera);
      // A media element takes all units, whether it plays them or not.
      const wasSlow = !this.#media && (slot?.isDecoderSlow ?? false);
      return { wasSlow, isSkipping: slot?.isDecoderSkipping ?? false };
    });
    this.#slotHost = {
      platform: host.platform,
      isWanted: (camera) => this.#subscribed.has(camera),
      createDecoder: (camera, events) => this.#createDecoder(camera, events),
      finished: (camera) => this.#connection?.finished(camera),
      decoded: () => this.#schedulePaint(),
      decoderFailed: (camera, failure, worked) => this.#handleFailure(camera, failure, worked),
    };
  }

  receive(message: ToPainter): void {
    switch (message.kind) {
      case 'open':
        this.#open(message.url, message.media ?? false);
        break;
      case 'surface':
        this.#surfaces.add(message.surface, message.canvas);
        break;
      case 'layout':
        this.#surfaces.layout(message.surface, message);
        this.#releaseUnused();
        this.#schedulePaint();
        // The size may call for another stream.
        this.#subscribe();
        break;
      case 'remove':
        this.#surfaces.remove(message.surface);
        this.#releaseUnused();
        break;
      case 'watch':
        this.#watch(message.cameras);
        break;
      case 'freeze':
        if (message.frozen) this.#frozen.add(message.camera);
        else this.#frozen.delete(message.camera);
        this.#slots.get(message.camera)?.discardPending();
        this.#subscribe();
        break;
      case 'listen':
        this.#heard = message.camera;
        this.#heardAs = undefined;
        this.#subscribe();
        break;
      case 'retry':
        this.#connection?.retry(message.cameras);
        break;
      case 'noMpeg1':
        this.#noMpeg1.set(message.camera, this.#host.platform.now() + NO_MPEG1);
        this.#subscribe();
        break;
      case 'reconnectNow':
        this.#policy.reset();
        this.#connection?.reconnectNow();
        break;
      case 'read': {
        const shown = this.#slots.get(message.camera)?.shown;
        const pixels = this.#surfaces.read(message.surface, message.camera, shown);
        this.#host.post({ kind: 'pixels', request: message.request, pixels });
        break;
      }
      case 'media':
        this.#media?.receive(message.message);
        break;
      case 'close':
        this.#close();
        break;
    }
  }

  #open(url: string, hasMedia: boolean): void {
    const { video, platform } = this.#host;
    if (typeof video === 'string' && hasMedia) {
      const post = (message: ToMedia, transfer?: Transferable[]): void =>
        this.#host.post({ kind: 'media', message }, transfer);
      this.#media = new MediaElements(
        post,
        () => this.#policy.reset(),
        () => platform.now(),
      );
      this.#policy = new NativePolicy(this.#media, platform, () => this.#subscribe());
    }
    this.#connection = new Connection(url, this.#host.platform, {
      frame: (frame: Frame) => this.#handleFrame(frame),
      sound: (unit) => this.#host.post({ kind: 'sound', unit }, [unit.payload.buffer]),
      event: (event: HubEvent) => this.#handleEvent(event),
      link: (link: Link) => this.#handleLink(link),
    });
    this.#connection.start();
    this.#report();
  }

  #close(): void {
    this.#cancelReport?.();
    this.#connection?.close();
    this.#surfaces.clear();
    this.#watched = new Map();
    this.#subscribed = new Map();
    this.#frozen.clear();
    this.#releaseUnused();
  }

  #handleLink(link: Link): void {
    if (link === 'open') {
      this.#policy.reset();
      this.#load.reset(this.#host.platform.now());
    }
    this.#host.post({ kind: 'link', link });
  }

  #handleEvent(event: HubEvent): void {
    if (event.type === 'hello') this.#setStreams(event.cameras);
    else if (event.type === 'camera') this.#setStreams([event.camera]);
    else if (event.type === 'stats') this.#handleStats(event);
    else if (event.type === 'gone') {
      this.#frozen.delete(event.id);
      this.#policy.forget(event.id);
      this.#load.forget(event.id);
      this.#slots.get(event.id)?.discardPending();
      this.#clear(event.id);
    }
    if (event.type !== 'pong') this.#host.post({ kind: 'event', event });
  }

  #handleStats({ cameras, time }: Extract<HubEvent, { type: 'stats' }>): void {
    const now = this.#host.platform.now();
    const isClockKnown = this.#connection?.clock.roundTrip !== undefined;
    this.#load.counted(cameras, isClockKnown ? now - this.#age(time) : now, now);
  }

  #setStreams(cameras: readonly Camera[]): void {
    for (const camera of cameras) this.#policy.setCamera(camera);
    this.#subscribe();
  }

  #watch(cameras: ReadonlyMap<string, Watch>): void {
    const before = this.#watched;
    this.#watched = cameras;
    for (const camera of before.keys()) {
      if (!cameras.has(camera)) this.#slots.get(camera)?.discardPending();
    }
    for (const camera of cameras.keys()) {
      if (before.has(camera) || this.#frozen.has(camera)) continue;
      const shown = this.#slots.get(camera)?.shown;
      if (shown && this.#age(shown.time) > MAX_RESUME_AGE) this.#clear(camera);
    }
    this.#subscribe();
    this.#releaseUnused();
  }

  /** Subscribes to the watched cameras, each with the codecs and the stream that suit it now. */
  #subscribe(): void {
    // Cameras would otherwise start as JPEG and then change.
    if (!this.#policy.ready) return;
    const subscribed = new Map<string, Subscription>();
    const restarted = new Map<string, Form>();
    const suitable = new Map<string, StreamChoice>();
    let decoders = 0;
    for (const [camera, watch] of this.#watched) {
      if (this.#frozen.has(camera)) continue;
      const native = watch.native && decoders < this.#maxDecoders;
      const best = this.#streamOf(camera, watch, native);
      if (!best) continue;
      suitable.set(camera, best);
      const before = this.#suitable.get(camera);
      if (before && before !== best) this.#policy.retryHardware(camera);
      const steps = this.#stepsOf(camera, watch, best, native);
      const step = this.#load.stepFor(camera, { steps, width: this.#surfaces.widthOf(camera) });
      if (step === 'mpeg1') {
        this.#slots.get(camera)?.discardPending();
        continue;
      }
      const isReduced = step !== 'full' || this.#policy.decoderStep(camera) === 'sub';
      const stream = isReduced && this.#policy.hasSubstream(camera) ? 'sub' : best;
      const codecs = native ? this.#policy.codecsFor(camera, stream) : [];
      const isNative = codecs.length > 0;
      if (isNative) decoders += 1;
      else this.#slots.get(camera)?.stopVideo();
      const keyOnly = isNative && step === 'keys';
      subscribed.set(camera, { stream, codecs, keyOnly });
      const now = this.#subscribed.get(camera);
      const isSame = now?.stream === stream && now.keyOnly === keyOnly && now.codecs.length > 0 === isNative;
      if (isSame) continue;
      restarted.set(camera, keyOnly ? 'keys' : isNative ? 'native' : 'jpeg');
      this.#slots.get(camera)?.rate.reset();
    }
    this.#suitable = suitable;
    this.#subscribed = subscribed;
    this.#load.watch(suitable, subscribed, restarted, this.#host.platform.now());
    this.#connection?.setWanted(this.#withSound(subscribed));
  }

  /** Adds the sound of one camera, which may have no pictures here because the page is hidden. */
  #withSound(subscribed: ReadonlyMap<string, Subscription>): ReadonlyMap<string, Subscription> {
    const camera = this.#heard;
    if (camera === undefined) return subscribed;
    const watched = subscribed.get(camera);
    // Without pictures the stream and its codecs stay the same, so that the hub opens no other stream for the sound.
    this.#heardAs = watched ??
      this.#heardAs ?? { stream: 'sub', codecs: this.#policy.codecsFor(camera, 'sub') };
    const subscription = { ...this.#heardAs, sound: true, ...(!watched && { pictures: false }) };
    return new Map([...subscribed, [camera, subscription]]);
  }

  /** The steps between which the network and the device decide. */
  #stepsOf(camera: string, watch: Watch, best: StreamChoice, native: boolean): Step[] {
    const hasKeys = native && this.#policy.codecsFor(camera, best).length > 0;
    const { quality = 'auto' } = watch;
    if (quality === 'best' || (quality === 'keys' && !hasKeys)) return ['full'];
    if (quality !== 'auto') return [quality];
    const isSmaller =
      best === 'main' && this.#policy.hasSubstream(camera) && this.#policy.decoderStep(camera) !== 'sub';
    const hasMpeg1 =
      watch.mpeg1 === true && this.#host.platform.now() >= (this.#noMpeg1.get(camera) ?? -Infinity);
    return [
      'full',
      ...(isSmaller ? (['sub'] as const) : []),
      ...(hasKeys ? (['keys'] as const) : []),
      ...(hasMpeg1 ? (['mpeg1'] as const) : []),
    ];
  }

  get #maxDecoders(): number {
    return this.#policy.video?.maxDecoders ?? 0;
  }

  /**
   * The stream to subscribe, or `undefined` while the size of the picture decides and is not known. JPEG of an H.264 or
   * H.265 main stream costs the hub a second transcode, so that stream is played only if the browser decodes it.
   */
  #streamOf(camera: string, { stream, quality }: Watch, native: boolean): StreamChoice | undefined {
    if (quality === 'best') return 'main';
    if (stream !== 'auto') return stream;
    if (!native || !this.#policy.plays(camera, 'main')) return 'sub';
    const before = this.#suitable.get(camera);
    const streams = this.#policy.streamsOf(camera);
    if (!this.#policy.plays(camera, 'sub')) {
      // Before the first viewer of the main stream, nothing is known of it.
      if (!streams.some(({ name }) => name === 'main')) return 'sub';
      // A substream in JPEG is good enough for small pictures.
      if (streams.find(({ name }) => name === 'sub')?.codec !== 'jpeg') return 'main';
    }
    if (!hasSubstream(streams)) return 'sub';
    const shown = this.#slots.get(camera)?.shown;
    const width = this.#surfaces.widthOf(camera, shown && shown.width / shown.height);
    return width > 0 ? chooseStream(streams, width, before) : before;
  }

  #handleFrame(frame: Frame): void {
    const { camera } = frame;
    const { clock } = this.#connection ?? {};
    // Until the hub's clock is known, so is no delay.
    if (clock?.roundTrip !== undefined)
      this.#load.arrived(camera, this.#age(frame.receiptTime), this.#host.platform.now());
    let slot = this.#slots.get(camera);
    if (!slot) {
      slot = new Slot(camera, this.#slotHost);
      this.#slots.set(camera, slot);
    }
    slot.receive(frame, this.#isNative(camera));
  }

  /** Whether the camera is subscribed with native video. */
  #isNative(camera: string): boolean {
    return (this.#subscribed.get(camera)?.codecs.length ?? 0) > 0;
  }

  #createDecoder(camera: string, events: VideoEvents): NativeDecoder | MediaDecoder | undefined {
    if (this.#media) return this.#media.open(camera, events);
    const { video, platform } = this.#host;
    if (typeof video === 'string') return undefined;
    return new NativeDecoder(video, platform, () => this.#policy.accelerationOf(camera), events);
  }

  #handleFailure(camera: string, failure: MediaFailure, worked: boolean): void {
    const isMain = this.#subscribed.get(camera)?.stream === 'main';
    const hasSub = isMain && this.#policy.hasSubstream(camera) && this.#policy.plays(camera, 'sub');
    this.#policy.failed(camera, failure, worked, hasSub);
    this.#subscribe();
    if (this.#isNative(camera)) this.#connection?.restart(camera);
  }

  readonly #schedulePaint = coalesced(
    () => this.#paint(),
    (paint) => this.#host.nextPaint(paint),
  );

  #paint(): void {
    const advanced: Slot[] = [];
    for (const slot of this.#slots.values()) {
      if (!slot.advance() || !slot.shown) continue;
      slot.paintedAge = this.#age(slot.shown.time);
      slot.rate.add(this.#host.platform.now());
      advanced.push(slot);
    }
    this.#surfaces.paint(
      (camera) => this.#slots.get(camera)?.shown,
      (camera) => this.#slots.get(camera)?.stale ?? false,
    );
    for (const slot of this.#slots.values()) slot.stale = false;
    for (const slot of advanced) slot.finishPainting();
  }

  #clear(camera: string): void {
    if (this.#slots.get(camera)?.clear()) this.#schedulePaint();
  }

  /**
   * Closes the pictures of cameras that are neither placed nor watched, because they are large and not garbage-collected
   * in time. Those of frozen cameras are kept, because a frozen picture cannot be fetched again.
   */
  #releaseUnused(): void {
    for (const [camera, slot] of this.#slots) {
      if (this.#watched.has(camera) || this.#frozen.has(camera) || this.#surfaces.shows(camera)) continue;
      slot.discardPending();
      slot.clear();
      this.#slots.delete(camera);
    }
  }

  #age(time: number): number {
    const offset = this.#connection?.clock.microseconds ?? 0;
    return this.#host.platform.now() + (offset - time) / 1000;
  }

  #report(): void {
    this.#cancelReport = this.#host.platform.after(REPORT_INTERVAL, () => this.#report());
    const now = this.#host.platform.now();
    if (this.#load.decide(now)) this.#subscribe();
    const pictures: Picture[] = [];
    for (const [camera, slot] of this.#slots) {
      if (!slot.shown) continue;
      const { time, width, height } = slot.shown;
      const codec = codecName(slot.shown.codec);
      pictures.push({
        camera,
        painted: slot.painted,
        fps: slot.rate.fps(now),
        interval: Math.max(slot.rate.interval, this.#subscribed.get(camera)?.keyOnly ? slot.keyInterval : 0),
        captureTime: time,
        paintedAge: slot.paintedAge,
        width,
        height,
        codec,
        ...(slot.isDecoderSlow && { isDecoderSlow: true }),
        ...(slot.isDecoderSkipping && { isSkipping: true }),
        ...(codec === 'jpeg' && { notNative: this.#notNative(camera) }),
      });
    }
    const clock = this.#connection?.clock;
    this.#host.post({
      kind: 'pictures',
      clockOffset: clock?.microseconds ?? 0,
      roundTrip: clock?.roundTrip,
      pictures,
      lowered: this.#lowered(),
    });
  }

  #lowered(): Map<string, Lowered> {
    const all = new Map<string, Lowered>();
    for (const [camera, { native }] of this.#watched) {
      const load = this.#load.lowered(camera);
      const painted = this.#slots.get(camera)?.painted ?? 0;
      const before = this.#mpeg1.get(camera);
      if (load?.step === 'mpeg1') this.#mpeg1.set(camera, painted);
      // MPEG-1 goes on until there is a picture to replace it.
      else if (before !== undefined && painted <= before) {
        all.set(camera, { step: 'mpeg1', cause: load?.cause ?? 'network' });
        continue;
      } else this.#mpeg1.delete(camera);
      const step = this.#policy.decoderStep(camera);
      if (load) all.set(camera, load);
      else if (native && step !== 'hardware' && this.#policy.decoderFailure(camera) !== 'refused')
        all.set(camera, { step, cause: 'decoder' });
    }
    for (const camera of this.#mpeg1.keys()) if (!all.has(camera)) this.#mpeg1.delete(camera);
    return all;
  }

  #notNative(camera: string): NotNative {
    if (this.#watched.get(camera)?.native === false) return { cause: 'chosen' };
    const subscription = this.#subscribed.get(camera);
    const stream = subscription?.stream ?? 'sub';
    const isExcess = subscription?.codecs.length === 0;
    if (isExcess && this.#policy.plays(camera, stream))
      return { cause: 'too-many', limit: this.#maxDecoders };
    return this.#policy.reason(camera, stream);
  }
}

function codecName(codec: number): PictureCodec {
  if (codec === CODEC_H264) return 'h264';
  return codec === CODEC_H265 ? 'h265' : 'jpeg';
}
