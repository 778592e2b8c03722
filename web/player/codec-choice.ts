// Which codec a lone tile shows: a person's word first, then what the network carries. No DOM.

/** JPEG comes over the wall's socket; MPEG-1 needs a fifth of its bytes and a decoder in JavaScript. */
export type Codec = 'jpeg' | 'mpeg1';
export type CodecWish = Codec | 'auto';

/** ms: pictures that are older when they are painted, while many are dropped, came through something narrow. */
const LATE = 500;
/** ms for which that must last; a pause of a second is nobody's network. */
const LASTING = 5_000;

export function wishOf(attribute: string | null): CodecWish {
  return attribute === 'jpeg' || attribute === 'mpeg1' ? attribute : 'auto';
}

/** What gets from this hub to this page. */
export interface Way {
  /** Too little for JPEG. */
  readonly thin: boolean;
  /** Whether WebSockets get through: MPEG-1 comes by nothing else. */
  readonly sockets: boolean;
}

export function chooseCodec(wish: CodecWish, way: Way): Codec {
  if (!way.sockets) return 'jpeg';
  if (wish !== 'auto') return wish;
  return way.thin ? 'mpeg1' : 'jpeg';
}

/** Whose choice that was, to follow upon the codec's name. */
export function whoseChoice(wish: CodecWish, way: Way): string {
  if (wish === 'mpeg1' && !way.sockets) return 'because no WebSocket gets through';
  return wish === 'auto' ? 'chosen by what the network carries' : 'as asked for';
}

/** What a click on the codec's name asks for next: the other one, then the tile's own choice again. */
export function nextWish(wish: CodecWish, shown: Codec): CodecWish {
  if (wish === 'auto') return shown === 'jpeg' ? 'mpeg1' : 'jpeg';
  return 'auto';
}

/** Whoever set their browser to save data wants the smaller stream. */
export function savesData(): boolean {
  return (navigator as { connection?: { saveData?: boolean } }).connection?.saveData ?? false;
}

export interface Delivered {
  readonly sent: number;
  readonly dropped: number;
}

/**
 * Whether the way from this hub to this page carries a camera's JPEG: measured on the pictures themselves, for what
 * browsers say of "the network" is about the internet, and most hubs are not there.
 */
export class Carriage {
  /** Once found too thin it stays so: MPEG-1 tells nothing of how JPEG would do now. */
  thin = false;
  #since: (Delivered & { readonly at: number }) | undefined;

  /** `delivered` counts since the subscription began; `paintedAge` is ms. True when it has just been found thin. */
  look(now: number, delivered: Delivered | undefined, paintedAge: number | undefined): boolean {
    if (!delivered || paintedAge === undefined || paintedAge < LATE || this.thin) {
      this.#since = undefined;
      return false;
    }
    const since = this.#since;
    if (!since || delivered.sent < since.sent) {
      this.#since = { ...delivered, at: now };
      return false;
    }
    if (now - since.at < LASTING) return false;
    this.#since = undefined;
    this.thin = delivered.dropped - since.dropped > delivered.sent - since.sent;
    return this.thin;
  }
}
