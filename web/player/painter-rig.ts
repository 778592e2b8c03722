// A painter with a fake hub, a fake video decoder and a fake screen, for tests.
import { vi } from 'vitest';
import type { StreamInfo } from '../client/events.ts';
import type { SoundUnit } from '../client/frame.ts';
import { FakePlatform } from '../client/testing.ts';
import type { FromMedia, ToMedia } from './media-messages.ts';
import type { FromPainter, Lowered, Picture, ToPainter, Watch } from './messages.ts';
import { Painter } from './painter.ts';
import { FakeVideo, FakeVideoFrame, h264Delta, h264Key } from './testing.ts';
import type { NoVideo } from './video-platform.ts';

interface FakeBitmap {
  readonly mark: number;
  readonly width: number;
  readonly height: number;
  closed: boolean;
  close(): void;
}

interface UnitFields {
  readonly camera?: string;
  readonly group?: number;
  readonly flags?: number;
  readonly codec?: number;
  readonly payload?: number[];
  readonly captureTime?: number;
  readonly receiptTime?: number;
}

interface SubscriptionReport {
  readonly cameras: readonly string[];
  readonly codecs: readonly string[];
  readonly stream: string;
  readonly keyOnly?: boolean;
}

/** Waits for decoding and for the messages of this turn. */
export const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/** Replaces `createImageBitmap`, so a test must call `vi.unstubAllGlobals` at its end. */
export class PainterRig {
  readonly platform = new FakePlatform();
  readonly video = new FakeVideo();
  readonly bitmaps: FakeBitmap[] = [];
  /** The marks of the pictures drawn so far. */
  readonly drawn: number[] = [];
  readonly #posted: FromPainter[] = [];
  #painter: Painter | undefined;
  #pendingPaint: (() => void) | undefined;
  #sequence = 0;

  constructor() {
    vi.stubGlobal('createImageBitmap', async (source: Blob | FakeVideoFrame) => {
      const mark =
        source instanceof FakeVideoFrame ? source.mark : (new Uint8Array(await source.arrayBuffer())[0] ?? 0);
      const close = (): void => void (bitmap.closed = true);
      const bitmap: FakeBitmap = { mark, closed: false, width: 320, height: 180, close };
      this.bitmaps.push(bitmap);
      return bitmap;
    });
  }

  /** Opens a painter and its connection to a hub with these cameras. `media` is whether the page has media elements. */
  async start(
    cameras: Record<string, StreamInfo[]>,
    video: FakeVideo | NoVideo = this.video,
    media = false,
  ): Promise<void> {
    this.#painter = new Painter({
      platform: this.platform,
      video,
      post: (message) => this.#posted.push(message),
      nextPaint: (callback) => (this.#pendingPaint = callback),
    });
    this.receive({ kind: 'open', url: 'ws://hub/ws/cameras', media });
    this.hello(cameras);
    await settle();
  }

  hello(cameras: Record<string, StreamInfo[]>): void {
    const list = Object.entries(cameras).map(([id, streams]) => ({ id, state: 'live', streams }));
    this.platform.socket.event({ type: 'hello', version: '0.1.0', time: 1, cameras: list });
  }

  receive(message: ToPainter): void {
    this.#painter?.receive(message);
  }

  /** The messages to the page's media elements so far. */
  get toMedia(): ToMedia[] {
    return this.#posted.filter((message) => message.kind === 'media').map(({ message }) => message);
  }

  /** The sound that was handed to the page so far. */
  get sounds(): SoundUnit[] {
    return this.#posted.filter((message) => message.kind === 'sound').map(({ unit }) => unit);
  }

  fromMedia(message: FromMedia): void {
    this.receive({ kind: 'media', message });
  }

  addSurface(width: number, ...cameras: string[]): void {
    const context = {
      fillStyle: '',
      clearRect: () => undefined,
      fillRect: () => undefined,
      drawImage: ({ mark, closed }: FakeBitmap | FakeVideoFrame) => {
        if (closed) throw new Error(`picture ${mark} is closed`);
        this.drawn.push(mark);
      },
    };
    const canvas = { width: 0, height: 0, getContext: () => context };
    this.receive({ kind: 'surface', surface: 1, canvas } as unknown as ToPainter);
    this.place(width, ...cameras);
  }

  /** Places cameras side by side, each `width` wide. */
  place(width: number, ...cameras: string[]): void {
    const height = (width * 9) / 16;
    const placements = cameras.map((camera, index) => ({ camera, x: index * width, y: 0, width, height }));
    this.receive({ kind: 'layout', surface: 1, width: width * cameras.length, height, placements });
    this.paint();
  }

  watch(...cameras: string[]): void {
    const how: Watch = { stream: 'auto', native: true };
    this.receive({ kind: 'watch', cameras: new Map(cameras.map((camera) => [camera, how])) });
  }

  paint(): void {
    const due = this.#pendingPaint;
    this.#pendingPaint = undefined;
    due?.();
  }

  key(mark: number, fields: UnitFields = {}): void {
    this.#unit({ flags: 1, payload: h264Key(mark), ...fields });
  }

  delta(mark: number, fields: UnitFields = {}): void {
    this.#unit({ flags: 0, payload: h264Delta(mark), ...fields });
  }

  /** Sends the first units of a group. */
  play(units: number, group = 1): void {
    this.key(1, { group });
    for (let mark = 2; mark <= units; mark++) this.delta(mark, { group });
  }

  jpeg(mark: number): void {
    this.platform.socket.frame({ camera: 'a', payload: [mark] });
  }

  /** Advances the clock, with a message of the hub in each second. */
  wait(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      this.platform.advance(1_000);
      this.platform.socket.event({ type: 'stats', cameras: {} });
    }
  }

  get subscriptions(): SubscriptionReport[] {
    return this.platform.socket
      .commands('subscribe')
      .map(({ cameras, codecs = [], stream = '', keyOnly }) => ({
        ...{ cameras, codecs, stream },
        ...(keyOnly && { keyOnly }),
      }));
  }

  /** The credit returned so far for camera `a`. */
  get returned(): number {
    return this.platform.socket.commands('credit').reduce((sum, { add }) => sum + (add['a'] ?? 0), 0);
  }

  pictures(): readonly Picture[] {
    this.platform.advance(250);
    return this.#posted.filter((message) => message.kind === 'pictures').at(-1)?.pictures ?? [];
  }

  /** What is shown of camera `a` instead of its full video. */
  lowered(): Lowered | undefined {
    this.platform.advance(250);
    return this.#posted
      .filter((message) => message.kind === 'pictures')
      .at(-1)
      ?.lowered.get('a');
  }

  #unit(fields: UnitFields): void {
    this.#sequence += 1;
    const captureTime = this.platform.time * 1000;
    this.platform.socket.frame({
      camera: 'a',
      codec: 2,
      group: 1,
      sequence: this.#sequence,
      captureTime,
      ...fields,
    });
  }
}
