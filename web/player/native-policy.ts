// Decides which cameras are played as native video: what this browser decodes, what the camera sends, and which decoders
// have failed.
import type { Camera, NativeCodec, StreamChoice, StreamInfo } from '../client/events.ts';
import type { Platform } from '../client/connection.ts';
import type { MediaFailure } from './media-messages.ts';
import type { NotNative } from './messages.ts';
import type { NoVideo, VideoSupport } from './video-platform.ts';

/** The types that stand for a codec while the camera's own is not known, best first. */
const TYPICAL: readonly (readonly [NativeCodec, string])[] = [
  ['h264', 'avc1.42E01F'],
  ['h265', 'hev1.1.6.L93.B0'],
];
/** How long the answers of the browser are waited for before the first subscription; ms. */
const FIRST_ANSWERS = 1_000;
/** A decoder that worked may fail this often in this many ms, because a camera may send a damaged unit. */
const MAX_ERRORS = 3;
const ERROR_WINDOW = 60_000;
/** How long a camera whose decoders failed gets JPEG; ms. */
const RETRY_AFTER = 60_000;

interface Failures {
  /** Only software decoders are used, because others failed with this stream. */
  software: boolean;
  /** Why the camera gets JPEG: software decoders failed too. */
  given: MediaFailure | undefined;
  errors: number[];
  cancelRetry: (() => void) | undefined;
}

export class NativePolicy {
  readonly #video: VideoSupport | undefined;
  readonly #none: NoVideo | undefined;
  readonly #platform: Platform;
  readonly #changed: () => void;
  #cameras = new Map<string, Pick<Camera, 'state' | 'streams'>>();
  /** The browser's answers by type; undefined while it is being asked. */
  #answers = new Map<string, boolean | undefined>();
  #failures = new Map<string, Failures>();
  #waited = false;

  /** `changed` is called when the answers of this object may have changed. */
  constructor(video: VideoSupport | NoVideo, platform: Platform, changed: () => void) {
    this.#video = typeof video === 'string' ? undefined : video;
    this.#none = typeof video === 'string' ? video : undefined;
    this.#platform = platform;
    this.#changed = changed;
    if (!this.#video) return;
    for (const [, type] of TYPICAL) this.#ask(type);
    platform.after(FIRST_ANSWERS, () => {
      if (this.ready) return;
      this.#waited = true;
      changed();
    });
  }

  get video(): VideoSupport | undefined {
    return this.#video;
  }

  /** Whether it is known what the browser decodes. */
  get ready(): boolean {
    return this.#waited || TYPICAL.every(([, type]) => !this.#video || this.#answers.get(type) !== undefined);
  }

  streamsOf(camera: string): readonly StreamInfo[] {
    return this.#cameras.get(camera)?.streams ?? [];
  }

  /** Records the streams of a camera. Other streams, or a new connection to the camera, may suit the hardware again. */
  setCamera({ id, state, streams }: Pick<Camera, 'id' | 'state' | 'streams'>): void {
    const before = this.#cameras.get(id);
    this.#cameras.set(id, { state, streams });
    for (const { type } of nativeOf(streams)) if (type !== undefined) this.#ask(type);
    const reconnected = state === 'live' && before?.state !== 'live';
    if (before && (reconnected || !isSame(before.streams, streams))) this.retryHardware(id);
  }

  /** Allows hardware decoders again, because the camera plays another stream. */
  retryHardware(camera: string): void {
    // A camera that gets JPEG is tried again only after a while, so that it does not fail again and again.
    if (!this.#failures.get(camera)?.given) this.#failures.delete(camera);
  }

  forget(camera: string): void {
    this.#cameras.delete(camera);
    this.#failures.get(camera)?.cancelRetry?.();
    this.#failures.delete(camera);
  }

  /** The codecs of native video to subscribe this stream of the camera with, best first; none if it must be JPEG. */
  codecsFor(camera: string, choice: StreamChoice): NativeCodec[] {
    if (!this.#video || this.#failures.get(camera)?.given) return [];
    const stream = this.#stream(camera, choice);
    if (stream && nativeOf([stream]).length === 0) return [];
    return TYPICAL.filter(([codec, typical]) => {
      const type = stream?.codec === codec ? stream.type : undefined;
      return this.#decodes(type ?? typical, typical);
    }).map(([codec]) => codec);
  }

  /** Whether this stream of the camera is played as native video, as far as known. */
  plays(camera: string, choice: StreamChoice): boolean {
    const stream = this.#stream(camera, choice);
    return this.codecsFor(camera, choice).some((codec) => !stream || codec === stream.codec);
  }

  /** Why this stream of the camera is not played as native video. */
  reason(camera: string, choice: StreamChoice): NotNative {
    const stream = this.#stream(camera, choice);
    if (stream && nativeOf([stream]).length === 0) return { cause: 'sends', codec: stream.codec };
    if (this.#none) return { cause: this.#none };
    const failure = this.#failures.get(camera)?.given;
    if (failure) return { cause: failure };
    for (const [codec, typical] of TYPICAL) {
      if (stream?.codec === codec && !this.#decodes(stream.type ?? typical, typical))
        return { cause: 'unsupported', codec, type: stream.type };
    }
    return { cause: 'waiting' };
  }

  accelerationOf(camera: string): HardwareAcceleration {
    return this.#failures.get(camera)?.software ? 'prefer-software' : 'no-preference';
  }

  /** Records that a decoder failed: first software is tried, then the camera gets JPEG for a while. */
  failed(camera: string, failure: MediaFailure, worked: boolean): void {
    const now = this.#platform.now();
    const failures = this.#failures.get(camera) ?? {
      software: false,
      given: undefined,
      errors: [],
      cancelRetry: undefined,
    };
    this.#failures.set(camera, failures);
    if (failure === 'error' && worked) {
      failures.errors = [...failures.errors.filter((at) => now - at < ERROR_WINDOW), now];
      if (failures.errors.length < MAX_ERRORS) return;
    }
    failures.errors = [];
    if (!failures.software && failure !== 'refused') {
      failures.software = true;
      return;
    }
    failures.given = failure;
    failures.cancelRetry = this.#platform.after(RETRY_AFTER, () => {
      this.#failures.delete(camera);
      this.#changed();
    });
  }

  /** Forgets the failures: the page is visible again or the connection is new. */
  reset(): void {
    if (this.#failures.size === 0) return;
    for (const { cancelRetry } of this.#failures.values()) cancelRetry?.();
    this.#failures.clear();
    this.#changed();
  }

  /** The stream that the hub sends for this choice, as far as known. A camera may have no substream. */
  #stream(camera: string, choice: StreamChoice): StreamInfo | undefined {
    const streams = this.streamsOf(camera);
    const named = (name: StreamChoice): StreamInfo | undefined =>
      streams.find((stream) => stream.name === name);
    return choice === 'sub' ? (named('sub') ?? named('main')) : named('main');
  }

  /** Whether the browser decodes this type. Until it has answered, the answer for the typical one is assumed. */
  #decodes(type: string, typical: string): boolean {
    return this.#answers.get(type) ?? this.#answers.get(typical) ?? false;
  }

  #ask(type: string): void {
    if (!this.#video || this.#answers.has(type)) return;
    this.#answers.set(type, undefined);
    const answered = (supported: boolean): void => {
      this.#answers.set(type, supported);
      this.#changed();
    };
    this.#video.isSupported({ codec: type, optimizeForLatency: true }).then(answered, () => answered(false));
  }
}

function nativeOf(streams: readonly StreamInfo[]): StreamInfo[] {
  return streams.filter(({ codec }) => codec === 'h264' || codec === 'h265');
}

/** Whether a decoder for one is as good for the other. The frame rate, which the hub measures, does not matter. */
function isSame(before: readonly StreamInfo[], after: readonly StreamInfo[]): boolean {
  const formats = (streams: readonly StreamInfo[]): string =>
    JSON.stringify(streams.map(({ name, codec, type, width, height }) => [name, codec, type, width, height]));
  return formats(before) === formats(after);
}
