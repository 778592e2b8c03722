// The pictures of one camera, only the newest of each stage: waiting or being decoded, decoded, and on the screen.
// Decodes JPEG, and native video with a decoder that exists while the camera is subscribed with its codec.
import type { Platform } from '../client/connection.ts';
import { CODEC_H264, CODEC_JPEG, isNative, type Frame } from '../client/frame.ts';
import type { MediaDecoder, MediaEvents } from './media-decoder.ts';
import type { MediaFailure } from './media-messages.ts';
import type { DecoderEvents, NativeDecoder } from './native-decoder.ts';
import { Rate } from './rate.ts';
import type { Painting } from './surfaces.ts';

export interface SlotHost {
  readonly platform: Platform;
  /** Whether the camera's pictures are wanted. */
  isWanted(camera: string): boolean;
  /** Returns a decoder for the camera's native video; `undefined` if the page can play none. */
  createDecoder(camera: string, events: VideoEvents): VideoDecoding | undefined;
  /** Returns the credit of one frame. */
  finished(camera: string): void;
  /** A decoded picture waits to be painted. */
  decoded(): void;
  decoderFailed(camera: string, failure: MediaFailure, worked: boolean): void;
}

/** Either shows pictures on the canvases, or in an element above them. */
type VideoDecoding = NativeDecoder | MediaDecoder;
export type VideoEvents = DecoderEvents & MediaEvents;

interface Decoded extends Painting {
  image: ImageBitmap | VideoFrame | undefined;
  readonly codec: number;
  /** The capture time, or that of receipt. */
  readonly time: number;
}

export class Slot {
  /** Whether the canvases do not show `shown` yet. */
  stale = false;
  painted = 0;
  /** The age of the shown picture when it was painted. */
  paintedAge = 0;
  readonly rate = new Rate();
  /** The time between the last two key frames of native video in ms; 0 while unknown. */
  keyInterval = 0;
  #keyTime = 0;
  readonly #camera: string;
  readonly #host: SlotHost;
  #waiting: Frame | undefined;
  #decoding = false;
  #decoder: VideoDecoding | undefined;
  /** The codec of that decoder. */
  #codec = CODEC_H264;
  #next: Decoded | undefined;
  #shown: Decoded | undefined;

  constructor(camera: string, host: SlotHost) {
    this.#camera = camera;
    this.#host = host;
  }

  get shown(): Readonly<Decoded> | undefined {
    return this.#shown;
  }

  /** Whether the video decoder has lately been too slow for the camera. */
  get isDecoderSlow(): boolean {
    return this.#decoder?.isSlow ?? false;
  }

  /** Whether the video decoder leaves out pictures now, because it is too slow for them. */
  get isDecoderSkipping(): boolean {
    return this.#decoder?.isSkipping ?? false;
  }

  /** Takes a frame. `native` is whether the camera is subscribed with native video. */
  receive(frame: Frame, native: boolean): void {
    if (isNative(frame.codec) && native) this.#decodeNative(frame);
    else if (frame.codec === CODEC_JPEG) this.#receiveJpeg(frame);
    else this.#finished();
  }

  /** Makes the newest decoded picture the shown one. Returns false if there is no new one. */
  advance(): boolean {
    if (!this.#next) return false;
    this.#shown?.image?.close();
    this.#shown = this.#next;
    this.#next = undefined;
    this.stale = true;
    this.painted += 1;
    return true;
  }

  /** Returns the credit of the picture that `advance` has made the shown one, now that it is painted. */
  finishPainting(): void {
    // Native video has returned it already.
    if (this.#shown?.codec === CODEC_JPEG) this.#finished();
  }

  /** Releases the video decoder, because the camera is no longer subscribed with its codec. */
  stopVideo(): void {
    this.#decoder?.close();
    this.#decoder = undefined;
    void this.#keepShown();
  }

  /** Discards pictures that are not painted yet and returns their credit. */
  discardPending(): void {
    this.#discardJpeg();
    this.stopVideo();
    this.#discardNext();
    this.rate.reset();
  }

  /** Removes the shown picture. Returns whether there was one. */
  clear(): boolean {
    if (!this.#shown) return false;
    this.#shown.image?.close();
    this.#shown = undefined;
    this.stale = true;
    return true;
  }

  #decodeNative(frame: Frame): void {
    if (frame.key) {
      this.keyInterval = this.#keyTime === 0 ? 0 : Math.max(0, frame.receiptTime - this.#keyTime) / 1000;
      this.#keyTime = frame.receiptTime;
      this.#decoder ??= this.#createDecoder();
    }
    if (!this.#decoder) {
      this.#finished();
      return;
    }
    // A JPEG that is still being decoded is older.
    this.#discardJpeg();
    this.#codec = frame.codec;
    this.#decoder.decode(frame);
  }

  #createDecoder(): VideoDecoding | undefined {
    const decoder = this.#host.createDecoder(this.#camera, {
      picture: (image, time) => {
        // The display size is in square pixels.
        const { displayWidth: width, displayHeight: height } = image;
        this.#offer({ image, time, codec: this.#codec, width, height });
      },
      shown: (time, width, height) =>
        this.#offer({ image: undefined, time, codec: this.#codec, width, height }),
      still: (image) => this.#paintStill(image),
      taken: () => this.#finished(),
      failed: (failure, worked) => {
        if (this.#decoder === decoder) this.stopVideo();
        this.#host.decoderFailed(this.#camera, failure, worked);
      },
    });
    return decoder;
  }

  #receiveJpeg(frame: Frame): void {
    // The hub sends JPEG until it can send native video. The decoder of an earlier stream has only older pictures.
    if (this.#decoder) this.stopVideo();
    if (this.#waiting) this.#finished();
    this.#waiting = frame;
    if (!this.#decoding) void this.#decodeJpegs();
  }

  async #decodeJpegs(): Promise<void> {
    this.#decoding = true;
    while (this.#waiting) {
      const frame = this.#waiting;
      this.#waiting = undefined;
      const image = await createImageBitmap(new Blob([frame.payload], { type: 'image/jpeg' })).catch(
        () => undefined,
      );
      if (!image || this.#decoder || !this.#host.isWanted(this.#camera)) {
        // A picture that cannot be decoded returns its credit like any other.
        image?.close();
        this.#finished();
        continue;
      }
      const { width, height } = image;
      this.#offer({ image, time: frame.captureTime || frame.receiptTime, codec: CODEC_JPEG, width, height });
    }
    this.#decoding = false;
  }

  /** Offers a picture for the next paint, instead of an older one. */
  #offer(picture: Decoded): void {
    this.#discardNext();
    this.#next = picture;
    this.#host.decoded();
  }

  #discardJpeg(): void {
    if (this.#waiting) this.#finished();
    this.#waiting = undefined;
  }

  #discardNext(): void {
    if (!this.#next) return;
    this.#next.image?.close();
    if (this.#next.codec === CODEC_JPEG) this.#finished();
    this.#next = undefined;
  }

  /**
   * Keeps the shown picture without its decoder: a `VideoFrame` occupies a part of the decoder, even if it is closed.
   */
  async #keepShown(): Promise<void> {
    const shown = this.#shown;
    if (!shown?.image || !('timestamp' in shown.image)) return;
    const frame = shown.image;
    const copy = await createImageBitmap(frame).catch(() => undefined);
    if (!copy) return;
    if (this.#shown === shown && shown.image === frame) {
      shown.image = copy;
      frame.close();
    } else {
      copy.close();
    }
  }

  /** Paints the last picture of an element that goes, unless there is a newer one. */
  #paintStill(image: ImageBitmap): void {
    const shown = this.#shown;
    if (!shown || shown.image) {
      image.close();
      return;
    }
    shown.image = image;
    this.stale = true;
    this.#host.decoded();
  }

  #finished(): void {
    this.#host.finished(this.#camera);
  }
}
