// Chooses the codec of a single tile: an explicit setting takes precedence over network conditions. No DOM.
import { codecName, pictureReason } from './codec-text.ts';
import type { Bottleneck } from './load-ladder.ts';
import type { Picture } from './messages.ts';

/**
 * `native` is the camera's own H.264 or H.265, with JPEG wherever that is not possible. Both use the wall's socket. MPEG-1
 * needs a fifth of the bytes of JPEG and a JavaScript decoder.
 */
export type Codec = 'native' | 'jpeg' | 'mpeg1';
export type CodecSetting = Codec | 'auto';

const CODECS: readonly Codec[] = ['native', 'jpeg', 'mpeg1'];

export function parseCodec(attribute: string | null): CodecSetting {
  return CODECS.find((codec) => codec === attribute) ?? 'auto';
}

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
