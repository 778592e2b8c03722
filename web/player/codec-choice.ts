// Which codec a lone tile shows: a person's word first, then what the network carries. No DOM.

/** JPEG comes over the wall's socket; MPEG-1 needs a fifth of its bytes and a decoder in JavaScript. */
export type Codec = 'jpeg' | 'mpeg1';
export type CodecWish = Codec | 'auto';

/** What browsers tell of the network, where they do. */
export interface Network {
  readonly saveData?: boolean | undefined;
  /** Mbit/s. */
  readonly downlink?: number | undefined;
}

/** Mbit/s: a JPEG camera of the usual size takes more. */
const THIN = 2;

export function wishOf(attribute: string | null): CodecWish {
  return attribute === 'jpeg' || attribute === 'mpeg1' ? attribute : 'auto';
}

export function chooseCodec(wish: CodecWish, network: Network): Codec {
  if (wish !== 'auto') return wish;
  const thin = network.saveData === true || (network.downlink !== undefined && network.downlink < THIN);
  return thin ? 'mpeg1' : 'jpeg';
}

/** What a click on the codec's name asks for next: the other one, then the tile's own choice again. */
export function nextWish(wish: CodecWish, shown: Codec): CodecWish {
  if (wish === 'auto') return shown === 'jpeg' ? 'mpeg1' : 'jpeg';
  return 'auto';
}

/** The network of this browser; Firefox and Safari do not tell. */
export function network(): Network {
  return (navigator as { connection?: Network }).connection ?? {};
}
