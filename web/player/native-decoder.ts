// Decodes the native video of one camera. It starts at key frames, counts the units in the decoder itself, and reports a
// decoder that fails or stays silent. Pictures belong to the receiver, which must close them.
import type { Platform } from '../client/connection.ts';
import type { Frame } from '../client/frame.ts';
import { codecType } from './codec-type.ts';
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
const SILENT_UNITS = 8;
const MIN_WATCH = 500;
/** After this many key frames without parameter sets in a row, the stream counts as one that cannot be decoded. */
const MAX_BARE_KEYS = 3;

export class NativeDecoder {
  readonly #video: VideoPlatform;
  readonly #platform: Platform;
  readonly #acceleration: HardwareAcceleration;
  readonly #events: DecoderEvents;
  #decoder: Decoder | undefined;
  #type = '';
  #group = -1;
  /** The capture time of the first unit. Timestamps are relative to it. */
  #start: number | undefined;
  /** The timestamps of the units in the decoder. */
  #inside: number[] = [];
  #bareKeys = 0;
  /** How many units the decoder always holds back, as far as known. */
  #delay = MAX_DELAY;
  /** Units in the decoder that count as not taken yet. */
  #waiting = 0;
  #worked = false;
  #unitsSinceOutput = 0;
  /** When the first of these units went in. */
  #silentSince = 0;
  #cancelWatchdog: (() => void) | undefined;

  constructor(
    video: VideoPlatform,
    platform: Platform,
    acceleration: HardwareAcceleration,
    events: DecoderEvents,
  ) {
    this.#video = video;
    this.#platform = platform;
    this.#acceleration = acceleration;
    this.#events = events;
  }

  decode(frame: Frame): void {
    if (frame.key) {
      const type = codecType(frame.codec, frame.payload);
      if (type === undefined) {
        // Its parameter sets are missing, so this group cannot be decoded.
        this.#group = -1;
        this.#bareKeys += 1;
        if (this.#bareKeys >= MAX_BARE_KEYS) {
          this.#bareKeys = 0;
          this.#events.taken();
          this.#fail('error');
          return;
        }
      } else {
        this.#bareKeys = 0;
        if (type !== this.#type || frame.discontinuity) this.#configure(type);
        this.#group = frame.group;
      }
    }
    // Between groups, and in the middle of one, nothing can be decoded.
    const decoder = this.#decoder;
    if (!decoder || frame.group !== this.#group) {
      this.#events.taken();
      return;
    }
    const time = frame.captureTime || frame.receiptTime;
    this.#start ??= time;
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
    this.#reset();
    if (decoder && decoder.state !== 'closed') decoder.close();
  }

  #configure(type: string): void {
    this.#reset();
    this.#type = type;
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
  }

  #watch(milliseconds: number): void {
    this.#cancelWatchdog ??= this.#platform.after(milliseconds, () => {
      this.#cancelWatchdog = undefined;
      if (this.#unitsSinceOutput === 0) return;
      const now = this.#platform.now();
      // The clock may have been set back.
      this.#silentSince = Math.min(this.#silentSince, now);
      const silence = now - this.#silentSince;
      // Before its first output, a decoder may hold back more units.
      const units = this.#worked ? SILENT_UNITS : MAX_DELAY + 1;
      if (silence >= SILENCE_LIMIT && this.#unitsSinceOutput >= units) this.#fail('silent');
      else this.#watch(Math.max(MIN_WATCH, SILENCE_LIMIT - silence));
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
    this.#group = -1;
    this.#inside = [];
    this.#delay = MAX_DELAY;
    this.#unitsSinceOutput = 0;
    this.#take();
  }
}
