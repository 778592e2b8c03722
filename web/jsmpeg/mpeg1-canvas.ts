// Paints an MPEG-1 elementary stream on a canvas with the npm player's decoder. Playback is live: everything
// received is decoded immediately, and only the newest picture is painted.
import JSMpeg, { type MPEG1Video } from '@cycjimmy/jsmpeg-player';
import { toRgba, type Planes } from './yuv.ts';

/** The maximum message length. A longer picture is split into several messages, all but the last of this length. */
const MAX_MESSAGE_LENGTH = 32 * 1024;
/** Larger than a group of pictures at any rate that JavaScript can decode. */
const BUFFER_SIZE = 4 * 1024 * 1024;

export class Mpeg1Canvas {
  /** The number of pictures painted. */
  painted = 0;
  width = 0;
  height = 0;
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D | null;
  #pixels: ImageData | undefined;
  #decoder = this.#createDecoder();
  #newest: Planes | undefined;
  #parts: Uint8Array[] = [];

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d');
  }

  get canvas(): HTMLCanvasElement {
    return this.#canvas;
  }

  /** Discards the decoder's state, because the next message does not continue the stream. */
  reset(): void {
    this.#parts = [];
    this.#decoder = this.#createDecoder();
  }

  /** Decodes one message of the stream. Returns true if a picture was painted. */
  write(message: ArrayBuffer): boolean {
    const bytes = new Uint8Array(message);
    this.#parts.push(bytes);
    if (bytes.length === MAX_MESSAGE_LENGTH) return false;
    const parts = this.#parts;
    this.#parts = [];
    const first = parts[0];
    const size = first && sequenceSize(first);
    // The decoder reads the size only once.
    if (size && this.width > 0 && (size.width !== this.width || size.height !== this.height)) {
      this.#decoder = this.#createDecoder();
    }
    for (const part of parts) this.#decoder.write(0, part);
    const { bits } = this.#decoder;
    // Each call processes one start code, which is not always that of a picture.
    while (bits.index >> 3 < bits.byteLength) this.#decoder.decode();
    if (!this.#newest) return false;
    this.#paint(this.#newest);
    this.#newest = undefined;
    this.painted += 1;
    return true;
  }

  #paint(planes: Planes): void {
    if (!this.#context) return;
    this.#pixels ??= new ImageData(this.width, this.height);
    toRgba(planes, this.#pixels, this.#pixels.data);
    this.#context.putImageData(this.#pixels, 0, 0);
  }

  #createDecoder(): MPEG1Video {
    const decoder = new JSMpeg.Decoder.MPEG1Video({
      streaming: true,
      decodeFirstFrame: false,
      videoBufferSize: BUFFER_SIZE,
    });
    decoder.connect({
      resize: (width, height) => {
        this.width = width;
        this.height = height;
        this.#canvas.width = width;
        this.#canvas.height = height;
        this.#pixels = undefined;
      },
      render: (...planes) => (this.#newest = planes),
    });
    return decoder;
  }
}

/** Returns the size from a sequence header at the start of the data, if there is one. */
function sequenceSize(bytes: Uint8Array): { width: number; height: number } | undefined {
  const [a, b, c, code, d = 0, e = 0, f = 0] = bytes;
  if (a !== 0 || b !== 0 || c !== 1 || code !== 0xb3) return undefined;
  return { width: (d << 4) | (e >> 4), height: ((e & 15) << 8) | f };
}
