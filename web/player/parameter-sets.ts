// Reads access units in Annex B: their NAL units, and what a container must know of their parameter sets.
import { CODEC_H264 } from '../client/frame.ts';
import { unescape } from './codec-type.ts';

/** What the sequence parameter set says about the pictures. */
export interface PictureFormat {
  readonly width: number;
  readonly height: number;
  /** The aspect ratio of a pixel. */
  readonly pixelAspect: readonly [number, number];
  readonly chroma: number;
  readonly lumaDepth: number;
  readonly chromaDepth: number;
}

const H264_IDR = 5;
const H264_SPS = 7;
const H264_PPS = 8;
const H264_DELIMITER = 9;
/** The types of key frames that no later picture is shown before. */
const H265_IDR: readonly number[] = [19, 20];
const H265_VPS = 32;
const H265_SPS = 33;
const H265_PPS = 34;
const H265_DELIMITER = 35;
const H264_KINDS: readonly number[] = [H264_SPS, H264_PPS];
const H265_KINDS: readonly number[] = [H265_VPS, H265_SPS, H265_PPS];
/** Profiles of H.264 whose parameter sets have the chroma format and the bit depths. */
const HIGH_PROFILES: readonly number[] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/** The aspect ratios of H.264 table E-1, from 1 on. */
const PIXEL_ASPECTS: readonly (readonly [number, number])[] = [
  ...([
    [1, 1],
    [12, 11],
    [10, 11],
    [16, 11],
    [40, 33],
    [24, 11],
    [20, 11],
    [32, 11],
  ] as const),
  ...([
    [80, 33],
    [18, 11],
    [15, 11],
    [64, 33],
    [160, 99],
    [4, 3],
    [3, 2],
    [2, 1],
  ] as const),
];
const EXPLICIT_ASPECT = 255;

/** The NAL units of an access unit, without start codes. They are views into it. */
export function splitUnits(unit: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const found: Uint8Array<ArrayBuffer>[] = [];
  let start = -1;
  for (let at = unit.indexOf(1, 2); ; at = unit.indexOf(1, at + 1)) {
    if (at >= 0 && (unit[at - 1] !== 0 || unit[at - 2] !== 0)) continue;
    let end = at < 0 ? unit.length : at - 2;
    while (end > start && unit[end - 1] === 0) end -= 1;
    if (start >= 0 && end > start) found.push(unit.subarray(start, end));
    if (at < 0) return found;
    start = at + 1;
  }
}

function typeOf(codec: number, nal: Uint8Array): number {
  const header = nal[0] ?? 0;
  return codec === CODEC_H264 ? header & 31 : (header >> 1) & 63;
}

/** The parameter sets among NAL units, by kind in the order of the container: (VPS,) SPS, PPS. */
export function parameterSets(
  codec: number,
  nals: readonly Uint8Array<ArrayBuffer>[],
): Uint8Array<ArrayBuffer>[][] {
  const kinds = codec === CODEC_H264 ? H264_KINDS : H265_KINDS;
  return kinds.map((kind) => nals.filter((nal) => typeOf(codec, nal) === kind));
}

/** The NAL units that belong into a sample of a container: not parameter sets and delimiters. */
export function sampleUnits(
  codec: number,
  nals: readonly Uint8Array<ArrayBuffer>[],
): Uint8Array<ArrayBuffer>[] {
  const others = codec === CODEC_H264 ? [...H264_KINDS, H264_DELIMITER] : [...H265_KINDS, H265_DELIMITER];
  return nals.filter((nal) => !others.includes(typeOf(codec, nal)));
}

/** Whether NAL units include a slice of a picture. */
export function hasPicture(codec: number, nals: readonly Uint8Array[]): boolean {
  return nals.some((nal) => {
    const type = typeOf(codec, nal);
    return codec === CODEC_H264 ? type > 0 && type <= H264_IDR : type < H265_VPS;
  });
}

/** Whether NAL units are a key frame that no later picture is shown before. */
export function isClosedKey(codec: number, nals: readonly Uint8Array[]): boolean {
  const types = codec === CODEC_H264 ? [H264_IDR] : H265_IDR;
  return nals.some((nal) => types.includes(typeOf(codec, nal)));
}

/** Reads a sequence parameter set; `undefined` if it is damaged. */
export function pictureFormat(codec: number, sps: Uint8Array): PictureFormat | undefined {
  const bits = new BitReader(unescape(sps));
  const format = codec === CODEC_H264 ? h264Format(bits) : h265Format(bits);
  return bits.isPastEnd || format.width <= 0 || format.height <= 0 ? undefined : format;
}

function h264Format(bits: BitReader): PictureFormat {
  bits.skip(8);
  const profile = bits.read(8);
  bits.skip(16);
  bits.golomb();
  let [chroma, lumaDepth, chromaDepth] = [1, 8, 8];
  let hasPlanes = false;
  if (HIGH_PROFILES.includes(profile)) {
    chroma = bits.golomb();
    if (chroma === 3) hasPlanes = bits.flag();
    lumaDepth += bits.golomb();
    chromaDepth += bits.golomb();
    bits.skip(1);
    if (bits.flag()) skipScalingLists(bits, chroma === 3 ? 12 : 8);
  }
  bits.golomb();
  skipOrderCount(bits);
  bits.golomb();
  bits.skip(1);
  const columns = bits.golomb() + 1;
  const rows = bits.golomb() + 1;
  const isProgressive = bits.flag();
  if (!isProgressive) bits.skip(1);
  bits.skip(1);
  const fields = isProgressive ? 1 : 2;
  const [unitX, unitY] = hasPlanes ? [1, 1] : chromaUnits(chroma);
  const crop = bits.flag() ? readCrop(bits) : [0, 0, 0, 0];
  const width = columns * 16 - unitX * ((crop[0] ?? 0) + (crop[1] ?? 0));
  const height = rows * 16 * fields - unitY * fields * ((crop[2] ?? 0) + (crop[3] ?? 0));
  const pixelAspect = bits.flag() && bits.flag() ? readAspect(bits) : ([1, 1] as const);
  return { width, height, pixelAspect, chroma, lumaDepth, chromaDepth };
}

function h265Format(bits: BitReader): PictureFormat {
  bits.skip(16 + 4);
  const layers = bits.read(3);
  bits.skip(1 + 96);
  const present = Array.from({ length: layers }, () => [bits.flag(), bits.flag()] as const);
  if (layers > 0) bits.skip(2 * (8 - layers));
  for (const [hasProfile, hasLevel] of present) bits.skip((hasProfile ? 88 : 0) + (hasLevel ? 8 : 0));
  bits.golomb();
  const chroma = bits.golomb();
  const hasPlanes = chroma === 3 && bits.flag();
  const [codedWidth, codedHeight] = [bits.golomb(), bits.golomb()];
  const [unitX, unitY] = hasPlanes ? [1, 1] : chromaUnits(chroma);
  const crop = bits.flag() ? readCrop(bits) : [0, 0, 0, 0];
  const width = codedWidth - unitX * ((crop[0] ?? 0) + (crop[1] ?? 0));
  const height = codedHeight - unitY * ((crop[2] ?? 0) + (crop[3] ?? 0));
  return {
    width,
    height,
    pixelAspect: [1, 1],
    chroma,
    lumaDepth: 8 + bits.golomb(),
    chromaDepth: 8 + bits.golomb(),
  };
}

/** The pixels that one unit of the cropping rectangle stands for. */
function chromaUnits(chroma: number): readonly [number, number] {
  return [chroma === 1 || chroma === 2 ? 2 : 1, chroma === 1 ? 2 : 1];
}

/** Left, right, top, bottom. */
function readCrop(bits: BitReader): number[] {
  return [bits.golomb(), bits.golomb(), bits.golomb(), bits.golomb()];
}

function readAspect(bits: BitReader): readonly [number, number] {
  const index = bits.read(8);
  const aspect =
    index === EXPLICIT_ASPECT ? ([bits.read(16), bits.read(16)] as const) : PIXEL_ASPECTS[index - 1];
  return aspect && aspect[0] > 0 && aspect[1] > 0 ? aspect : [1, 1];
}

function skipScalingLists(bits: BitReader, count: number): void {
  for (let list = 0; list < count; list++) {
    if (!bits.flag()) continue;
    let next = 8;
    for (let index = 0; index < (list < 6 ? 16 : 64) && next !== 0; index++)
      next = (next + bits.signedGolomb() + 256) % 256;
  }
}

function skipOrderCount(bits: BitReader): void {
  const type = bits.golomb();
  if (type === 0) bits.golomb();
  if (type !== 1) return;
  bits.skip(1);
  bits.golomb();
  bits.golomb();
  const count = Math.min(bits.golomb(), 255);
  for (let index = 0; index < count; index++) bits.golomb();
}

class BitReader {
  readonly #bytes: readonly number[];
  #at = 0;

  constructor(bytes: readonly number[]) {
    this.#bytes = bytes;
  }

  get isPastEnd(): boolean {
    return this.#at > this.#bytes.length * 8;
  }

  skip(count: number): void {
    this.#at += count;
  }

  flag(): boolean {
    return this.read(1) === 1;
  }

  read(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index++) {
      value = value * 2 + (((this.#bytes[this.#at >> 3] ?? 0) >> (7 - (this.#at & 7))) & 1);
      this.#at += 1;
    }
    return value;
  }

  /** An Exp-Golomb code (ISO/IEC 14496-10, 9.1). */
  golomb(): number {
    let zeros = 0;
    while (!this.isPastEnd && !this.flag()) zeros += 1;
    return 2 ** zeros - 1 + this.read(Math.min(zeros, 32));
  }

  signedGolomb(): number {
    const value = this.golomb();
    return value % 2 === 0 ? -value / 2 : (value + 1) / 2;
  }
}
