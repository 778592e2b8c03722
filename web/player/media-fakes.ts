// Fake media elements, for tests.
import type { MediaBrowser } from './media-browser.ts';

type Listener = () => void;

class FakeBuffer {
  updating = false;
  /** The sizes of what was appended. */
  readonly appended: number[] = [];
  readonly removed: (readonly [number, number])[] = [];
  readonly types: string[] = [];
  /** Whether the next append finds the buffer full. */
  isFull = false;
  /** Where the buffer ends; s. */
  end = Infinity;
  #listener: Listener | undefined;

  get buffered(): Pick<TimeRanges, 'length' | 'end'> {
    return { length: this.appended.length > 0 ? 1 : 0, end: () => this.end };
  }

  addEventListener(_: string, listener: Listener): void {
    this.#listener = listener;
  }

  appendBuffer(bytes: Uint8Array): void {
    if (this.isFull) {
      this.isFull = false;
      throw new DOMException('full', 'QuotaExceededError');
    }
    this.appended.push(bytes.length);
    this.updating = true;
  }

  remove(start: number, end: number): void {
    this.removed.push([start, end]);
    this.updating = true;
  }

  changeType(type: string): void {
    this.types.push(type);
  }

  /** Ends the append or the removal. */
  finish(): void {
    this.updating = false;
    this.#listener?.();
  }
}

class FakeSource {
  readyState = 'closed';
  readonly buffers: FakeBuffer[] = [];
  readonly types: string[] = [];
  #listener: Listener | undefined;

  addEventListener(_: string, listener: Listener): void {
    this.#listener = listener;
  }

  addSourceBuffer(type: string): FakeBuffer {
    const buffer = new FakeBuffer();
    this.types.push(type);
    this.buffers.push(buffer);
    return buffer;
  }

  open(): void {
    this.readyState = 'open';
    this.#listener?.();
  }
}

class FakeVideoElement {
  currentTime = 0;
  playbackRate = 1;
  seeking = false;
  videoWidth = 640;
  videoHeight = 360;
  plays = 0;
  isRemoved = false;
  playError: DOMException | undefined;
  onerror: Listener | undefined;
  onwaiting: Listener | undefined;
  onpause: Listener | undefined;
  #callback: ((now: number, metadata: { mediaTime: number }) => void) | undefined;

  setAttribute(): void {
    // Nothing reads them.
  }

  play(): Promise<void> {
    this.plays += 1;
    return this.playError ? Promise.reject(this.playError) : Promise.resolve();
  }

  pause(): void {
    this.onpause?.();
  }

  remove(): void {
    this.isRemoved = true;
  }

  requestVideoFrameCallback(callback: (now: number, metadata: { mediaTime: number }) => void): void {
    this.#callback = callback;
  }

  /** Shows the picture at a media time. */
  show(mediaTime: number): void {
    this.currentTime = mediaTime;
    this.#callback?.(0, { mediaTime });
  }
}

export class FakeMedia implements MediaBrowser {
  readonly video = new FakeVideoElement();
  readonly source = new FakeSource();
  isAttached = false;

  isSupported(): boolean {
    return true;
  }

  createVideo(): HTMLVideoElement {
    return this.video as unknown as HTMLVideoElement;
  }

  createSource(): MediaSource {
    return this.source as unknown as MediaSource;
  }

  attach(): () => void {
    this.isAttached = true;
    return () => (this.isAttached = false);
  }

  copy(): Promise<ImageBitmap | undefined> {
    return Promise.resolve({ width: 640 } as ImageBitmap);
  }

  get buffer(): FakeBuffer {
    const [first] = this.source.buffers;
    if (!first) throw new Error('there is no source buffer');
    return first;
  }
}
