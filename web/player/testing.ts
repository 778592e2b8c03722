// A fake video decoder, and units of native video for it.
import type { Decoder, VideoPlatform } from './video-platform.ts';

const START_CODE = [0, 0, 0, 1];

/** A key frame of H.264 with its parameter set. The last byte identifies it. */
export const h264Key = (mark: number, profile = [0x64, 0x00, 0x1f]): number[] => [
  ...[...START_CODE, 0x67, ...profile, 0xac],
  ...[...START_CODE, 0x68, 0xee],
  ...[...START_CODE, 0x65, mark],
];
export const h264Delta = (mark: number): number[] => [...START_CODE, 0x41, mark];

/** A key frame of H.265, main profile, level 3.1. */
export const h265Key = (mark: number): number[] => [
  ...[...START_CODE, 0x40, 0x01, 0x0c],
  // Its constraints are 90 00 00 00 00 00. The 3 after two zeros is inserted.
  ...[...START_CODE, 0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x5d, 0xa0],
  ...[...START_CODE, 0x26, 0x01, mark],
];

export class FakeVideoFrame {
  closed = false;
  readonly displayWidth = 640;
  readonly displayHeight = 360;

  constructor(
    readonly mark: number,
    readonly timestamp: number,
  ) {}

  close(): void {
    this.closed = true;
  }
}

interface Chunk {
  readonly type: string;
  readonly timestamp: number;
  readonly mark: number;
}

export class FakeDecoder implements Decoder {
  state: CodecState = 'unconfigured';
  readonly configs: VideoDecoderConfig[] = [];
  readonly chunks: Chunk[] = [];
  readonly #init: VideoDecoderInit;
  readonly #outputs: FakeVideoFrame[];
  decodeQueueSize = 0;
  ondequeue: ((event: Event) => void) | null = null;
  /** Units that have not come out yet. */
  #inside: Chunk[] = [];

  constructor(
    init: VideoDecoderInit,
    readonly video: FakeVideo,
    outputs: FakeVideoFrame[],
  ) {
    this.#init = init;
    this.#outputs = outputs;
  }

  configure(config: VideoDecoderConfig): void {
    this.state = 'configured';
    this.configs.push(config);
    this.#inside = [];
  }

  decode(chunk: EncodedVideoChunk): void {
    if (this.state !== 'configured') throw new Error('not configured');
    const unit = chunk as unknown as Chunk;
    this.chunks.push(unit);
    if (this.video.stuck) {
      this.decodeQueueSize += 1;
      return;
    }
    if (this.video.drops && this.chunks.length % 2 === 0) return;
    this.#inside.push(unit);
    if (!this.video.paused) this.output();
  }

  close(): void {
    this.state = 'closed';
  }

  /** Takes the units in the queue. */
  dequeue(): void {
    this.decodeQueueSize = 0;
    this.ondequeue?.(new Event('dequeue'));
  }

  /** Outputs all pictures but those that the decoder holds back. */
  output(count = this.#inside.length - this.video.delay): void {
    for (const { mark, timestamp } of this.#inside.splice(0, Math.max(0, count))) {
      const frame = new FakeVideoFrame(mark, timestamp);
      this.#outputs.push(frame);
      this.#init.output(frame as unknown as VideoFrame);
    }
  }

  fail(): void {
    this.state = 'closed';
    this.#init.error(new DOMException('failed', 'EncodingError'));
  }
}

export class FakeVideo implements VideoPlatform {
  maxDecoders = 64;
  /** Whether decoders take units without output. */
  paused = false;
  /** Whether decoders silently drop every second unit. */
  drops = false;
  /** Whether units stay in the queue in front of the decoder. */
  stuck = false;
  /** How many pictures decoders hold back. */
  delay = 0;
  readonly decoders: FakeDecoder[] = [];
  readonly frames: FakeVideoFrame[] = [];
  /** The types that the browser was asked about. */
  readonly asked: string[] = [];
  supports: (type: string) => boolean = () => true;

  isSupported({ codec }: VideoDecoderConfig): Promise<boolean> {
    this.asked.push(codec);
    return Promise.resolve(this.supports(codec));
  }

  createDecoder(init: VideoDecoderInit): Decoder {
    const decoder = new FakeDecoder(init, this, this.frames);
    this.decoders.push(decoder);
    return decoder;
  }

  createChunk({ type, timestamp, data }: EncodedVideoChunkInit): EncodedVideoChunk {
    const mark = (data as Uint8Array).at(-1) ?? 0;
    return { type, timestamp, mark } as unknown as EncodedVideoChunk;
  }

  get decoder(): FakeDecoder {
    const last = this.decoders.at(-1);
    if (!last) throw new Error('no decoder was created');
    return last;
  }

  /** The decoders that are not closed. */
  get open(): FakeDecoder[] {
    return this.decoders.filter(({ state }) => state !== 'closed');
  }
}
