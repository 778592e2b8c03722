// The painter's side of media elements (Media Source Extensions), which are in the page: asks what they play, and hands
// them the units of cameras.
import type { Frame } from '../client/frame.ts';
import type { FromMedia, MediaFailure, ToMedia } from './media-messages.ts';
import { PlayableGroup } from './playable-group.ts';
import type { VideoSupport } from './video-platform.ts';

type Post = (message: ToMedia, transfer?: Transferable[]) => void;

/** A page may have no more elements than this at work. Cameras beyond it get JPEG. */
const MAX_ELEMENTS = 16;
/** How long a report that the browser skips pictures is valid, and how long it counts as slow after that; ms. */
const SKIPPING_FOR = 3_000;
const SLOW_FOR = 15_000;

export interface MediaEvents {
  /** A picture is on the screen, in an element above the canvases. */
  shown(captureTime: number, width: number, height: number): void;
  /** The page has taken one unit, or the unit was skipped. Called once for each unit. */
  taken(): void;
  failed(failure: MediaFailure, worked: boolean): void;
  /** The last picture, to be painted on the canvases instead of the element, which goes. */
  still(image: ImageBitmap): void;
}

/** The media elements of the page. */
export class MediaElements implements VideoSupport {
  readonly maxDecoders = MAX_ELEMENTS;
  readonly #post: Post;
  readonly #allowed: () => void;
  readonly #now: () => number;
  #questions = new Map<string, (isSupported: boolean) => void>();
  #decoders = new Map<number, MediaDecoder>();
  #lastPlayer = 0;

  /** `allowed` is called when the page may play video that it was not allowed to play before. */
  constructor(post: Post, allowed: () => void, now: () => number) {
    this.#post = post;
    this.#allowed = allowed;
    this.#now = now;
  }

  isSupported({ codec }: Pick<VideoDecoderConfig, 'codec'>): Promise<boolean> {
    return new Promise((resolve) => {
      this.#questions.set(codec, resolve);
      this.#post({ kind: 'ask', type: codec });
    });
  }

  open(camera: string, events: MediaEvents): MediaDecoder {
    const player = ++this.#lastPlayer;
    const decoder = new MediaDecoder(player, this.#post, events, this.#now);
    this.#decoders.set(player, decoder);
    this.#post({ kind: 'start', player, camera });
    return decoder;
  }

  receive(message: FromMedia): void {
    if (message.kind === 'answer') this.#questions.get(message.type)?.(message.isSupported);
    else if (message.kind === 'allowed') this.#allowed();
    else {
      this.#decoders.get(message.player)?.receive(message);
      // It is the last message of a player.
      if (message.kind === 'still') this.#decoders.delete(message.player);
    }
  }
}

/** Plays the native video of one camera in an element. It starts at key frames. */
export class MediaDecoder {
  readonly #player: number;
  readonly #post: Post;
  readonly #events: MediaEvents;
  readonly #group = new PlayableGroup();
  #type = '';
  /** Units that the page has not taken yet. */
  #waiting = 0;
  #isClosed = false;
  readonly #now: () => number;
  #skippedAt = -Infinity;

  constructor(player: number, post: Post, events: MediaEvents, now: () => number) {
    this.#player = player;
    this.#post = post;
    this.#events = events;
    this.#now = now;
  }

  /** Whether the browser skips pictures, because it cannot decode all of them in time. */
  get isSkipping(): boolean {
    return this.#now() - this.#skippedAt < SKIPPING_FOR;
  }

  /** Whether it has lately done so. */
  get isSlow(): boolean {
    return this.#now() - this.#skippedAt < SLOW_FOR;
  }

  decode(frame: Frame): void {
    const { key: isKey, codec, payload, captureTime, receiptTime } = frame;
    if (isKey) this.#type = this.#group.begin(frame) ?? '';
    if (!this.#group.includes(frame)) {
      this.#events.taken();
      if (this.#group.isHopeless) this.#fail('error', false);
      return;
    }
    this.#waiting += 1;
    const unit = { codec, type: this.#type, isKey, captureTime: captureTime || receiptTime, payload };
    this.#post({ kind: 'unit', player: this.#player, unit }, [payload.buffer]);
  }

  receive(message: Exclude<FromMedia, { kind: 'answer' | 'allowed' }>): void {
    if (message.kind === 'still') {
      if (message.image) this.#events.still(message.image);
      return;
    }
    if (this.#isClosed) return;
    if (message.kind === 'shown') this.#events.shown(message.captureTime, message.width, message.height);
    else if (message.kind === 'failed') this.#fail(message.failure, message.worked);
    else if (message.kind === 'skipping') this.#skippedAt = this.#now();
    else if (this.#waiting > 0) {
      this.#waiting -= 1;
      this.#events.taken();
    }
  }

  /** Releases the element. Units that were not taken are. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#post({ kind: 'stop', player: this.#player });
    for (; this.#waiting > 0; this.#waiting--) this.#events.taken();
  }

  #fail(failure: MediaFailure, worked: boolean): void {
    this.close();
    this.#events.failed(failure, worked);
  }
}
