// Decides which cameras are played as native video: what this browser decodes, what the camera sends, and which decoders
// have failed.
import type { Camera, NativeCodec, StreamChoice, StreamInfo } from '../client/events.ts';
import type { Platform } from '../client/connection.ts';
import { DecoderLadder, type DecoderStep } from './decoder-ladder.ts';
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

interface Failing {
  readonly ladder: DecoderLadder;
  cancelClimb: (() => void) | undefined;
}

export class NativePolicy {
  readonly #video: VideoSupport | undefined;
  readonly #none: NoVideo | undefined;
  readonly #platform: Platform;
  readonly #changed: () => void;
  #cameras = new Map<string, Pick<Camera, 'state' | 'streams' | 'hasSubstream'>>();
  /** The browser's answers by type; undefined while it is being asked. */
  #answers = new Map<string, boolean | undefined>();
  /** The cameras whose decoders have failed. */
  #failing = new Map<string, Failing>();
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

  hasSubstream(camera: string): boolean {
    const known = this.#cameras.get(camera);
    return known?.hasSubstream ?? this.streamsOf(camera).some(({ name }) => name === 'sub');
  }

  /** Records the streams of a camera. Other streams, or a new connection to the camera, may suit the hardware again. */
  setCamera(camera: Pick<Camera, 'id' | 'state' | 'streams' | 'hasSubstream'>): void {
    const { id, state, streams } = camera;
    const before = this.#cameras.get(id);
    this.#cameras.set(id, camera);
    for (const { type } of nativeOf(streams)) if (type !== undefined) this.#ask(type);
    const reconnected = state === 'live' && before?.state !== 'live';
    if (before && (reconnected || !isSame(before.streams, streams))) this.retryHardware(id);
  }

  /** Allows hardware decoders again, because the camera plays another stream. */
  retryHardware(camera: string): void {
    // Further down, the camera is tried again only after a while, so that it does not fail again and again.
    if (this.decoderStep(camera) === 'software') this.#recover(camera);
  }

  forget(camera: string): void {
    this.#cameras.delete(camera);
    this.#recover(camera);
  }

  /** The codecs of native video to subscribe this stream of the camera with, best first; none if it must be JPEG. */
  codecsFor(camera: string, choice: StreamChoice): NativeCodec[] {
    if (!this.#video || this.decoderStep(camera) === 'jpeg') return [];
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
    const failing = this.#failing.get(camera)?.ladder;
    if (failing?.step === 'jpeg' && failing.cause) return { cause: failing.cause };
    for (const [codec, typical] of TYPICAL) {
      if (stream?.codec === codec && !this.#decodes(stream.type ?? typical, typical))
        return { cause: 'unsupported', codec, type: stream.type };
    }
    return { cause: 'waiting' };
  }

  accelerationOf(camera: string): HardwareAcceleration {
    return this.decoderStep(camera) === 'hardware' ? 'no-preference' : 'prefer-software';
  }

  decoderStep(camera: string): DecoderStep {
    return this.#failing.get(camera)?.ladder.step ?? 'hardware';
  }

  /** Why a lower step than the first decodes the camera. */
  decoderFailure(camera: string): MediaFailure | undefined {
    return this.#failing.get(camera)?.ladder.cause;
  }

  /** Records that a decoder failed. `hasSub` is whether the camera has a smaller stream than the one that failed. */
  failed(camera: string, failure: MediaFailure, worked: boolean, hasSub = false): void {
    const failing = this.#failing.get(camera) ?? { ladder: new DecoderLadder(), cancelClimb: undefined };
    this.#failing.set(camera, failing);
    if (failing.ladder.failed(failure, worked, hasSub, this.#platform.now()))
      this.#scheduleClimb(camera, failing);
  }

  /** Forgets the failures: the page is visible again or the connection is new. */
  reset(): void {
    if (this.#failing.size === 0) return;
    for (const camera of [...this.#failing.keys()]) this.#recover(camera);
    this.#changed();
  }

  #scheduleClimb(camera: string, failing: Failing): void {
    const { ladder } = failing;
    failing.cancelClimb?.();
    failing.cancelClimb = this.#platform.after(ladder.wait, () => {
      // It has worked for as long at the top.
      if (ladder.step === 'hardware') {
        this.#recover(camera);
        return;
      }
      ladder.climb(this.#platform.now());
      this.#scheduleClimb(camera, failing);
      this.#changed();
    });
  }

  #recover(camera: string): void {
    this.#failing.get(camera)?.cancelClimb?.();
    this.#failing.delete(camera);
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
