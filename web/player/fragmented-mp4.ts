// Writes fragmented MP4 (ISO/IEC 14496-12 and 14496-15): an initialization segment, and a fragment for each access unit.
import { CODEC_H264 } from '../client/frame.ts';
import { parameterSets, pictureFormat, type PictureFormat } from './parameter-sets.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** The times of a sample in µs, which are the units of the file. */
export interface SampleTimes {
  readonly decodeTime: number;
  readonly presentationTime: number;
  readonly duration: number;
}

const TIMESCALE = 1_000_000;
const TRACK = 1;
const H265_FIRST_SET = 32;
/** Sample flags: depends on no other sample; depends on others and is no sync sample. */
const KEY_SAMPLE = 0x02000000;
const OTHER_SAMPLE = 0x01010000;
const MATRIX = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000];

/**
 * Returns the initialization segment for the parameter sets among the NAL units of a key frame; `undefined` if they
 * are incomplete or damaged.
 */
export function initSegment(codec: number, nals: readonly Bytes[]): Bytes | undefined {
  const sets = parameterSets(codec, nals);
  const sps = sets[codec === CODEC_H264 ? 0 : 1]?.[0];
  if (!sps || sets.some((kind) => kind.length === 0)) return undefined;
  const format = pictureFormat(codec, sps);
  if (!format) return undefined;
  const configuration =
    codec === CODEC_H264 ? avcConfiguration(sets, sps, format) : hevcConfiguration(sets, sps, format);
  return join([
    box('ftyp', ascii('iso5'), u32(1), ascii('iso5iso6mp41')),
    box(
      'moov',
      // A length of 0 tells players that this is live.
      fullBox(
        'mvhd',
        0,
        0,
        u32(0, 0, TIMESCALE, 0, 0x10000),
        u16(0x100, 0),
        u32(0, 0, ...MATRIX),
        u32(0, 0, 0, 0, 0, 0, TRACK + 1),
      ),
      box('trak', trackHeader(format), media(sampleEntry(codec, format, configuration))),
      box('mvex', fullBox('trex', 0, 0, u32(TRACK, 1, 0, 0, 0))),
    ),
  ]);
}

/** Returns the fragment of one access unit. `nals` are those of the sample. */
export function fragment(
  sequence: number,
  times: SampleTimes,
  isKey: boolean,
  nals: readonly Bytes[],
): Bytes {
  const size = nals.reduce((sum, nal) => sum + 4 + nal.length, 0);
  const { decodeTime, presentationTime, duration } = times;
  const build = (dataOffset: number): Bytes =>
    box(
      'moof',
      fullBox('mfhd', 0, 0, u32(sequence)),
      box(
        'traf',
        // Offsets count from the start of this fragment.
        fullBox('tfhd', 0, 0x20000, u32(TRACK)),
        fullBox('tfdt', 1, 0, u32(Math.floor(decodeTime / 2 ** 32), decodeTime % 2 ** 32)),
        // One sample with its duration, size, flags and composition offset.
        fullBox(
          'trun',
          1,
          0xf01,
          u32(
            1,
            dataOffset,
            duration,
            size,
            isKey ? KEY_SAMPLE : OTHER_SAMPLE,
            presentationTime - decodeTime,
          ),
        ),
      ),
    );
  const { length } = build(0);
  return join([
    build(length + 8),
    u32(8 + size),
    ascii('mdat'),
    ...nals.flatMap((nal) => [u32(nal.length), nal]),
  ]);
}

function trackHeader({ width, height, pixelAspect }: PictureFormat): Bytes {
  const shown = [(width * pixelAspect[0]) / pixelAspect[1], height];
  const size = shown.map((side) => Math.round(side * 0x10000));
  // Enabled and in the movie.
  return fullBox('tkhd', 0, 3, u32(0, 0, TRACK, 0, 0, 0, 0), u16(0, 0, 0, 0), u32(...MATRIX, ...size));
}

function media(entry: Bytes): Bytes {
  const empty = u32(0);
  return box(
    'mdia',
    fullBox('mdhd', 0, 0, u32(0, 0, TIMESCALE, 0), u16(0x55c4, 0)),
    fullBox('hdlr', 0, 0, u32(0), ascii('vide'), u32(0, 0, 0), ascii('\0')),
    box(
      'minf',
      fullBox('vmhd', 0, 1, u16(0, 0, 0, 0)),
      box('dinf', fullBox('dref', 0, 0, u32(1), fullBox('url ', 0, 1))),
      box(
        'stbl',
        fullBox('stsd', 0, 0, u32(1), entry),
        fullBox('stts', 0, 0, empty),
        fullBox('stsc', 0, 0, empty),
        fullBox('stsz', 0, 0, empty, empty),
        fullBox('stco', 0, 0, empty),
      ),
    ),
  );
}

function sampleEntry(
  codec: number,
  { width, height, pixelAspect }: PictureFormat,
  configuration: Bytes,
): Bytes {
  return box(
    codec === CODEC_H264 ? 'avc1' : 'hvc1',
    u16(0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, width, height),
    u32(0x480000, 0x480000, 0),
    u16(1),
    new Uint8Array(32),
    u16(0x18, 0xffff),
    configuration,
    box('pasp', u32(...pixelAspect)),
  );
}

function avcConfiguration(sets: readonly Bytes[][], sps: Bytes, format: PictureFormat): Bytes {
  const [spsList = [], ppsList = []] = sets;
  const profile = sps[1] ?? 0;
  const isBasic = profile === 66 || profile === 77 || profile === 88;
  const { chroma, lumaDepth, chromaDepth } = format;
  return box(
    'avcC',
    u8(1, profile, sps[2] ?? 0, sps[3] ?? 0, 0xff, 0xe0 | spsList.length),
    ...spsList.flatMap((set) => [u16(set.length), set]),
    u8(ppsList.length),
    ...ppsList.flatMap((set) => [u16(set.length), set]),
    isBasic ? u8() : u8(0xfc | chroma, 0xf8 | (lumaDepth - 8), 0xf8 | (chromaDepth - 8), 0),
  );
}

function hevcConfiguration(sets: readonly Bytes[][], sps: Bytes, format: PictureFormat): Bytes {
  const { chroma, lumaDepth, chromaDepth } = format;
  // The profile, tier and level are bytes 3 to 14 of the parameter set, and may have inserted bytes.
  const general: number[] = [];
  for (let at = 3; general.length < 12 && at < sps.length; at++)
    if (sps[at] !== 3 || sps[at - 1] !== 0 || sps[at - 2] !== 0) general.push(sps[at] ?? 0);
  const layers = (((sps[2] ?? 0) >> 1) & 7) + 1;
  const isNested = (sps[2] ?? 0) & 1;
  return box(
    'hvcC',
    u8(1, ...general),
    u16(0xf000),
    u8(0xfc, 0xfc | chroma, 0xf8 | (lumaDepth - 8), 0xf8 | (chromaDepth - 8), 0, 0),
    u8((layers << 3) | (isNested << 2) | 3, sets.length),
    ...sets.flatMap((list, index) => [
      u8(0x80 | (H265_FIRST_SET + index)),
      u16(list.length),
      ...list.flatMap((set) => [u16(set.length), set]),
    ]),
  );
}

function box(type: string, ...parts: readonly Bytes[]): Bytes {
  const length = parts.reduce((sum, part) => sum + part.length, 8);
  return join([u32(length), ascii(type), ...parts]);
}

function fullBox(type: string, version: number, flags: number, ...parts: readonly Bytes[]): Bytes {
  return box(type, u32(version * 2 ** 24 + flags), ...parts);
}

export function join(parts: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const ascii = (text: string): Bytes => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const u8 = (...values: readonly number[]): Bytes => Uint8Array.from(values);
const u16 = (...values: readonly number[]): Bytes => u8(...values.flatMap((value) => [value >> 8, value]));

function u32(...values: readonly number[]): Bytes {
  return u8(...values.flatMap((value) => [value >> 24, value >> 16, value >> 8, value]));
}
