// Decodes the native video of one camera. It starts at key frames, counts the units in the decoder itself, and reports a
// decoder that fails or stays silent. Pictures belong to the receiver, which must close them.
import type { Platform } from '../client/connection.ts';
import type { Frame } from '../client/frame.ts';
import { PlayableGroup } from './playable-group.ts';
import type { Decoder, VideoPlatform } from './video-platform.ts';

/** `error`: the decoder reported one. `silent`: it takes units and outputs nothing. */
export type DecoderFailure = 'error' | 'silent';

export interface DecoderEvents {
  /** A decoded picture and its capture time. */
  picture(picture: VideoFrame, time: number): void;
  /** The decoder has taken one unit, or the unit was skipped. Called once for each unit. */
  taken(): void;
  /** The decoder has failed and is closed; `worked` is whether it has output pictures. */
  failed(failure: DecoderFailure, worked: boolean): void;
}

/** The number of pictures that a decoder may hold back before its first output. */
const MAX_DELAY = 16;
/** The units that wait in a decoder or its queue, in addition to those it always holds back, before it takes no more. */
const MAX_WAITING = 4;
/** A decoder that has output nothing for this long, in ms, and since this many units, is silent. */
const SILENCE_LIMIT = 2_000;
/** The same before the first output, with fewer units: many decoders may be starting at a time. */
const FIRST_SILENCE_LIMIT = 5_000;
const SILENT_UNITS = 8;
const MIN_WATCH = 500;
/** A decoder that takes no more units for this long, in ms, is slow: the hub skips a group of a viewer that is this late. */
const SLOW_AFTER = 1_500;
/** How long a decoder counts as slow after that; ms. Meanwhile the hub sends nothing up to the next key frame. */
const SLOW_FOR = 15_000;
/** The timestamp of the first unit in µs, because WebKitGTK loses negative ones. Times before it can follow. */
const FIRST_TIMESTAMP = 60_000_000;

export class NativeDecoder {
  /** What it is too slow for waits, and is left out by the hub. */
  readonly isSkipping = false;
  readonly #video: VideoPlatform;
  readonly #platform: Platform;
  readonly #accelerationNow: () => HardwareAcceleration;
  readonly #events: DecoderEvents;
  #decoder: Decoder | undefined;
  #type = '';
  #group = new PlayableGroup();
  #acceleration: HardwareAcceleration = 'no-preference';
  /** The capture time at timestamp 0. */
  #start: number | undefined;
  /** The timestamps of the units in the decoder. */
  #inside: number[] = [];
  /** How many units the decoder always holds back, as far as known. */
  #delay = MAX_DELAY;
  /** Units in the decoder that count as not taken yet. */
  #waiting = 0;
  #worked = false;
  #unitsSinceOutput = 0;
  /** When the first of these units went in, or the last picture came out. */
  #silentSince = 0;
  /** Since when it takes no more units. */
  #fullSince: number | undefined;
  #slowUntil = 0;
  #cancelWatchdog: (() => void) | undefined;

  constructor(
    video: VideoPlatform,
    platform: Platform,
    acceleration: () => HardwareAcceleration,
    events: DecoderEvents,
  ) {
    this.#video = video;
    this.#platform = platform;
    this.#accelerationNow = acceleration;
    this.#events = events;
  }

  /** Whether it has lately been too slow for the camera. */
  get isSlow(): boolean {
    const now = this.#platform.now();
    if (this.#fullSince !== undefined && now - this.#fullSince >= SLOW_AFTER)
      this.#slowUntil = now + SLOW_FOR;
    return now < this.#slowUntil;
  }

  decode(frame: Frame): void {
    if (frame.key) {
      const type = this.#group.begin(frame);
      if (this.#group.isHopeless) {
        this.#group = new PlayableGroup();
        this.#events.taken();
        this.#fail('error');
        return;
      }
      if (type !== undefined) {
        const isSame = type === this.#type && this.#accelerationNow() === this.#acceleration;
        if (!isSame || frame.discontinuity) this.#configure(type);
      }
    }
    // Between groups, and in the middle of one, nothing can be decoded.
    const decoder = this.#decoder;
    if (!decoder || !this.#group.includes(frame)) {
      this.#events.taken();
      return;
    }
    const time = frame.captureTime || frame.receiptTime;
    this.#start ??= time - FIRST_TIMESTAMP;
    this.#inside.push(time - this.#start);
    this.#waiting += 1;
    if (this.#unitsSinceOutput === 0) this.#silentSince = this.#platform.now();
    this.#unitsSinceOutput += 1;
    this.#watch(SILENCE_LIMIT);
    try {
      const type = frame.key ? 'key' : 'delta';
      decoder.decode(this.#video.createChunk({ type, timestamp: time - this.#start, data: frame.payload }));
    } catch {
      this.#fail('error');
    }
    this.#take();
  }

  /** Releases the decoder. Units that were not taken are. */
  close(): void {
    const decoder = this.#decoder;
    this.#decoder = undefined;
    this.#type = '';
    this.#group.end();
    this.#reset();
    if (decoder && decoder.state !== 'closed') decoder.close();
  }

  #configure(type: string): void {
    this.#reset();
    this.#type = type;
    this.#acceleration = this.#accelerationNow();
    try {
      this.#decoder ??= this.#create();
      this.#decoder.configure({
        codec: type,
        optimizeForLatency: true,
        hardwareAcceleration: this.#acceleration,
      });
    } catch {
      this.#fail('error');
    }
  }

  #create(): Decoder {
    const decoder = this.#video.createDecoder({
      output: (picture) => {
        if (decoder === this.#decoder) this.#output(picture);
        else picture.close();
      },
      error: () => {
        if (decoder === this.#decoder) this.#fail('error');
      },
    });
    if ('ondequeue' in decoder) decoder.ondequeue = () => this.#take();
    return decoder;
  }

  #output(picture: VideoFrame): void {
    this.#worked = true;
    this.#unitsSinceOutput = 0;
    this.#silentSince = this.#platform.now();
    // What was to be shown earlier does not come any more: a field of the same picture, or a damaged unit.
    this.#inside = this.#inside.filter((timestamp) => timestamp > picture.timestamp);
    // Units in the queue are not held back, they wait for their turn. Not every browser counts them.
    const heldBack = Math.max(0, this.#inside.length - (this.#decoder?.decodeQueueSize ?? 0));
    this.#delay = Math.min(this.#delay, heldBack);
    this.#events.picture(picture, picture.timestamp + (this.#start ?? 0));
    this.#take();
  }

  /** Counts as taken what waits, unless too much is in the decoder. */
  #take(): void {
    const queued = this.#decoder && 'ondequeue' in this.#decoder ? this.#decoder.decodeQueueSize : 0;
    const allowed = Math.max(0, Math.max(this.#inside.length - this.#delay, queued) - MAX_WAITING);
    while (this.#waiting > allowed) {
      this.#waiting -= 1;
      this.#events.taken();
    }
    if (this.#waiting === 0) this.#fullSince = undefined;
    else this.#fullSince ??= this.#platform.now();
  }

  #watch(milliseconds: number): void {
    this.#cancelWatchdog ??= this.#platform.after(milliseconds, () => {
      this.#cancelWatchdog = undefined;
      if (this.#unitsSinceOutput === 0 && this.#waiting === 0) return;
      const now = this.#platform.now();
      // The clock may have been set back.
      this.#silentSince = Math.min(this.#silentSince, now);
      const silence = now - this.#silentSince;
      // Before its first output, a decoder may hold back more units.
      const units = this.#worked ? SILENT_UNITS : MAX_DELAY + 1;
      // While units wait, the hub may send no more, so that they do not become as many.
      const isSilent = this.#unitsSinceOutput >= units || this.#waiting > 0;
      const limit = this.#worked || this.#unitsSinceOutput >= units ? SILENCE_LIMIT : FIRST_SILENCE_LIMIT;
      if (silence >= limit && isSilent) this.#fail('silent');
      else this.#watch(Math.max(MIN_WATCH, limit - silence));
    });
  }

  #fail(failure: DecoderFailure): void {
    this.close();
    this.#events.failed(failure, this.#worked);
  }

  /** Forgets what is in the decoder. */
  #reset(): void {
    this.#cancelWatchdog?.();
    this.#cancelWatchdog = undefined;
    this.#inside = [];
    this.#delay = MAX_DELAY;
    this.#unitsSinceOutput = 0;
    this.#take();
  }
}
