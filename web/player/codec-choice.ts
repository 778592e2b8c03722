// Chooses the codec of a single tile: an explicit setting takes precedence over network conditions. No DOM.

/** JPEG uses the wall's socket. MPEG-1 needs a fifth of the bytes and a JavaScript decoder. */
export type Codec = 'jpeg' | 'mpeg1';
export type CodecSetting = Codec | 'auto';

/** In ms. If pictures are older than this when painted and many are dropped, the network is too slow for JPEG. */
const LATE_AGE = 500;
/** How long this must last, in ms. A pause of one second does not mean that the network is slow. */
const MIN_DURATION = 5_000;

export function parseCodec(attribute: string | null): CodecSetting {
  return attribute === 'jpeg' || attribute === 'mpeg1' ? attribute : 'auto';
}

/** The network conditions between the hub and the page. */
export interface Network {
  /** Whether the network is too slow for JPEG. */
  readonly slow: boolean;
  /** Whether WebSockets work, which MPEG-1 requires. */
  readonly sockets: boolean;
}

export function chooseCodec(setting: CodecSetting, network: Network): Codec {
  if (!network.sockets) return 'jpeg';
  if (setting !== 'auto') return setting;
  return network.slow ? 'mpeg1' : 'jpeg';
}

/** Describes why the codec was chosen, as a phrase that follows its name. */
export function choiceReason(setting: CodecSetting, network: Network): string {
  if (setting === 'mpeg1' && !network.sockets) return 'because WebSockets are blocked';
  return setting === 'auto' ? 'chosen to suit the network' : 'set on this tile';
}

/** Returns the setting after a click on the codec button: the other codec, then automatic again. */
export function nextCodec(setting: CodecSetting, shown: Codec): CodecSetting {
  if (setting === 'auto') return shown === 'jpeg' ? 'mpeg1' : 'jpeg';
  return 'auto';
}

/** Whether the browser's data saver is on. It selects the codec with the smaller stream. */
export function isDataSaverOn(): boolean {
  return (navigator as { connection?: { saveData?: boolean } }).connection?.saveData ?? false;
}

export interface DeliveredCounts {
  readonly sent: number;
  readonly dropped: number;
}

/**
 * Measures whether the network between the hub and the page is fast enough for a camera's JPEG. It uses the pictures
 * themselves, because the browser's network information is about the internet and most hubs are on a local network.
 */
export class NetworkProbe {
  /** Stays true once set, because MPEG-1 gives no measurement for JPEG. */
  slow = false;
  #start: (DeliveredCounts & { readonly at: number }) | undefined;

  /**
   * Adds a measurement. `delivered` counts since the start of the subscription; `paintedAge` is in ms. Returns true if the
   * network has just been found too slow.
   */
  update(now: number, delivered: DeliveredCounts | undefined, paintedAge: number | undefined): boolean {
    if (!delivered || paintedAge === undefined || paintedAge < LATE_AGE || this.slow) {
      this.#start = undefined;
      return false;
    }
    const start = this.#start;
    if (!start || delivered.sent < start.sent) {
      this.#start = { ...delivered, at: now };
      return false;
    }
    if (now - start.at < MIN_DURATION) return false;
    this.#start = undefined;
    this.slow = delivered.dropped - start.dropped > delivered.sent - start.sent;
    return this.slow;
  }
}
