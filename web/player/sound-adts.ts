// Wraps raw AAC in ADTS (ISO/IEC 13818-7, 6.2), which makes it a file that browsers decode.

type Bytes = Uint8Array<ArrayBuffer>;

const RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];
const HEADER = 7;
const AAC_LC = 2;
/** Object types that describe AAC LC with an extension, which decoders find themselves. */
const EXTENSIONS = [5, 29];
const EXPLICIT_RATE = 15;

export interface AacFormat {
  /** The object type of the core. */
  readonly objectType: number;
  /** The index of the core's sample rate. */
  readonly rateIndex: number;
  readonly channels: number;
}

/** Returns the AudioSpecificConfig of AAC LC. */
export function aacConfig(rate: number, channels: number): Bytes {
  const index = Math.max(0, RATES.indexOf(rate));
  return Uint8Array.of((AAC_LC << 3) | (index >> 1), ((index & 1) << 7) | (channels << 3));
}

export function bytesOfHex(hex: string): Bytes {
  return Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));
}

/** Parses an AudioSpecificConfig. Returns `undefined` if ADTS cannot express it. */
export function parseAacConfig(config: Bytes): AacFormat | undefined {
  const bits = [...config].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let at = 0;
  const read = (count: number): number => parseInt(bits.slice(at, (at += count)).padEnd(count, '0'), 2);
  let objectType = read(5);
  const rateIndex = read(4);
  if (rateIndex === EXPLICIT_RATE) return undefined;
  const channels = read(4);
  if (EXTENSIONS.includes(objectType)) {
    if (read(4) === EXPLICIT_RATE) return undefined;
    objectType = read(5);
  }
  if (objectType < 1 || objectType > 4 || rateIndex >= RATES.length || channels < 1 || channels > 7)
    return undefined;
  return { objectType, rateIndex, channels };
}

/** The sample rate of the core in Hz. */
export const rateOf = ({ rateIndex }: AacFormat): number => RATES[rateIndex] ?? 0;

/** Returns a file with these access units. */
export function adtsFile({ objectType, rateIndex, channels }: AacFormat, units: readonly Bytes[]): Bytes {
  const file = new Uint8Array(units.reduce((size, unit) => size + HEADER + unit.length, 0));
  let at = 0;
  for (const unit of units) {
    const size = HEADER + unit.length;
    file.set(
      [
        0xff,
        // MPEG-4, without a checksum.
        0xf1,
        ((objectType - 1) << 6) | (rateIndex << 2) | (channels >> 2),
        ((channels & 3) << 6) | (size >> 11),
        (size >> 3) & 0xff,
        // The fullness of the buffer, all ones, is that of a variable rate.
        ((size & 7) << 5) | 0x1f,
        0xfc,
      ],
      at,
    );
    file.set(unit, at + HEADER);
    at += size;
  }
  return file;
}
