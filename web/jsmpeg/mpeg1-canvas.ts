// Paints a bare MPEG-1 stream on a canvas, each picture when it comes. The decoder is the npm player's; what is here
// is live playback: everything that came is decoded at once, and only the newest of it is painted.
import JSMpeg, { type MPEG1Video, type VideoOutput } from '@cycjimmy/jsmpeg-player';

/** A picture that is longer than a message comes in several, all but the last of this length. */
const LONGEST_MESSAGE = 32 * 1024;
/** More than a group of pictures at any rate that JavaScript can decode. */
const BUFFER = 4 * 1024 * 1024;

type Planes = readonly [Uint8ClampedArray, Uint8ClampedArray, Uint8ClampedArray];

export class Mpeg1Canvas {
  /** How many pictures were painted. */
  painted = 0;
  width = 0;
  height = 0;
  readonly #canvas: HTMLCanvasElement;
  readonly #painter: VideoOutput;
  #decoder = this.#freshDecoder();
  #newest: Planes | undefined;
  #parts: Uint8Array[] = [];

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    this.#painter = new JSMpeg.Renderer.Canvas2D({ canvas });
  }

  get canvas(): HTMLCanvasElement {
    return this.#canvas;
  }

  /** What comes next does not continue from what came. */
  reset(): void {
    this.#parts = [];
    this.#decoder = this.#freshDecoder();
  }

  /** One message of the stream. True when a picture was painted. */
  write(message: ArrayBuffer): boolean {
    const bytes = new Uint8Array(message);
    this.#parts.push(bytes);
    if (bytes.length === LONGEST_MESSAGE) return false;
    const parts = this.#parts;
    this.#parts = [];
    const first = parts[0];
    const size = first && sequenceSize(first);
    // The decoder reads the size once in its life.
    if (size && this.width > 0 && (size.width !== this.width || size.height !== this.height)) {
      this.#decoder = this.#freshDecoder();
    }
    for (const part of parts) this.#decoder.write(0, part);
    const { bits } = this.#decoder;
    // Each call passes over one start code, and not each is a picture's.
    while (bits.index >> 3 < bits.byteLength) this.#decoder.decode();
    if (!this.#newest) return false;
    this.#painter.render(...this.#newest);
    this.#newest = undefined;
    this.painted += 1;
    return true;
  }

  #freshDecoder(): MPEG1Video {
    const decoder = new JSMpeg.Decoder.MPEG1Video({
      streaming: true,
      decodeFirstFrame: false,
      videoBufferSize: BUFFER,
    });
    decoder.connect({
      resize: (width, height) => {
        this.width = width;
        this.height = height;
        this.#painter.resize(width, height);
      },
      render: (...planes) => (this.#newest = planes),
    });
    return decoder;
  }
}

/** The size in a sequence header, where one stands at the beginning. */
function sequenceSize(bytes: Uint8Array): { width: number; height: number } | undefined {
  const [a, b, c, code, d = 0, e = 0, f = 0] = bytes;
  if (a !== 0 || b !== 0 || c !== 1 || code !== 0xb3) return undefined;
  return { width: (d << 4) | (e >> 4), height: ((e & 15) << 8) | f };
}
