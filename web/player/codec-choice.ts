// Chooses the codec of a single tile: an explicit setting takes precedence over network conditions. No DOM.
import { codecName, pictureReason } from './codec-text.ts';
import type { Picture } from './messages.ts';

/**
 * `native` is the camera's own H.264 or H.265, with JPEG wherever that is not possible. Both use the wall's socket. MPEG-1
 * needs a fifth of the bytes of JPEG and a JavaScript decoder.
 */
export type Codec = 'native' | 'jpeg' | 'mpeg1';
export type CodecSetting = Codec | 'auto';

/** In ms. If pictures are older than this when painted and many are dropped, the network is too slow for them. */
const LATE_AGE = 500;
const CODECS: readonly Codec[] = ['native', 'jpeg', 'mpeg1'];
/** How long this must last, in ms. A pause of one second does not mean that the network is slow. */
const MIN_DURATION = 5_000;

export function parseCodec(attribute: string | null): CodecSetting {
  return CODECS.find((codec) => codec === attribute) ?? 'auto';
}

/** What limits the rate at which a page shows a camera. */
export type Bottleneck = 'network' | 'device';

/** The conditions between the hub and the screen. */
export interface Network {
  /** What is too slow for native video and JPEG. */
  readonly slow: Bottleneck | undefined;
  /** Whether WebSockets work, which MPEG-1 requires. */
  readonly sockets: boolean;
}

export function chooseCodec(setting: CodecSetting, network: Network): Codec {
  if (!network.sockets) return 'jpeg';
  if (setting !== 'auto') return setting;
  return network.slow ? 'mpeg1' : 'native';
}

/** Returns the name of the codec that is shown. Without a picture it is not known which codec native video has. */
export function codecLabel(codec: Codec, picture: Picture | undefined): string {
  if (picture) return codecName(picture.codec);
  return codec === 'native' ? 'Video' : codecName(codec);
}

/** Describes why the codec is shown, as a phrase that follows its name. */
export function choiceReason(setting: CodecSetting, network: Network, picture: Picture | undefined): string {
  if (!network.sockets) return 'because WebSockets are blocked';
  const codec = chooseCodec(setting, network);
  const reason = codec === 'native' && picture ? pictureReason(picture) : '';
  if (reason !== '') return reason;
  if (setting !== 'auto') return 'set on this tile';
  if (network.slow === 'device') return 'because this device decodes the video of the camera too slowly';
  return codec === 'native' ? 'as the camera sends it' : 'chosen to suit the network';
}

/** Returns the setting after a click on the codec button: the next codec below the shown one, then automatic again. */
export function nextCodec(setting: CodecSetting, shown: Codec): CodecSetting {
  if (shown === 'mpeg1') return setting === 'auto' ? 'native' : 'auto';
  return shown === 'native' ? 'jpeg' : 'mpeg1';
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
 * Measures whether the network between the hub and the page, and the device, are fast enough for a camera's pictures. It
 * uses the pictures themselves, because the browser's network information is about the internet and most hubs are on a
 * local network.
 */
export class NetworkProbe {
  /** Stays true once set, because MPEG-1 gives no measurement for other codecs. */
  slow: Bottleneck | undefined;
  #start: (DeliveredCounts & { readonly at: number }) | undefined;

  /**
   * Adds a measurement. `delivered` counts since the start of the subscription. Returns true if something has just been
   * found too slow.
   */
  update(
    now: number,
    delivered: DeliveredCounts | undefined,
    picture: Pick<Picture, 'paintedAge' | 'isDecoderSlow'> | undefined,
  ): boolean {
    if (!delivered || !picture || picture.paintedAge < LATE_AGE || this.slow) {
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
    if (delivered.dropped - start.dropped <= delivered.sent - start.sent) return false;
    this.slow = picture.isDecoderSlow ? 'device' : 'network';
    return true;
  }
}
