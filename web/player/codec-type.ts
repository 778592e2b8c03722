// The type string of a native video stream, from the sequence parameter set of a key frame. Browsers need it to
// configure a decoder, and test support with it.
import { CODEC_H264, CODEC_H265 } from '../client/frame.ts';

const H264_SPS = 7;
const H265_SPS = 33;
/** Lower types are slices of the picture. They follow the parameter sets. */
const H264_FIRST_OTHER = 6;
const H265_FIRST_OTHER = 32;
/** The bytes of an H.265 parameter set up to its level. */
const H265_LENGTH = 13;

/** Returns a string such as `avc1.64001f` or `hev1.1.6.L93.B0`; `undefined` if the unit has no parameter set. */
export function codecType(codec: number, unit: Uint8Array): string | undefined {
  for (let at = 0; at + 3 < unit.length; at++) {
    if (unit[at] !== 0 || unit[at + 1] !== 0 || unit[at + 2] !== 1) continue;
    const header = unit[at + 3] ?? 0;
    if (codec === CODEC_H264) {
      const type = header & 31;
      if (type === H264_SPS) return h264Type(unit.subarray(at + 4, at + 7));
      if (type > 0 && type < H264_FIRST_OTHER) return undefined;
    } else if (codec === CODEC_H265) {
      const type = (header >> 1) & 63;
      if (type === H265_SPS) return h265Type(unescape(unit.subarray(at + 5), H265_LENGTH));
      if (type < H265_FIRST_OTHER) return undefined;
    }
    at += 2;
  }
  return undefined;
}

/** Profile, constraints and level, which are the first bytes of the parameter set. */
function h264Type(bytes: Uint8Array): string | undefined {
  if (bytes.length < 3) return undefined;
  return `avc1.${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** As ISO/IEC 14496-15, annex E, writes the profile, tier, level and constraints. */
function h265Type(bytes: readonly number[]): string | undefined {
  if (bytes.length < H265_LENGTH) return undefined;
  const profile = bytes[1] ?? 0;
  const level = bytes[12] ?? 0;
  let compatibility = 0;
  for (let bit = 0; bit < 32; bit++) {
    const byte = bytes[2 + (bit >> 3)] ?? 0;
    if ((byte >> (7 - (bit & 7))) & 1) compatibility += 2 ** bit;
  }
  const constraints = bytes.slice(6, 12);
  while (constraints.at(-1) === 0) constraints.pop();
  const parts = [
    `hev1.${['', 'A', 'B', 'C'][profile >> 6] ?? ''}${profile & 31}`,
    compatibility.toString(16),
    `${profile & 32 ? 'H' : 'L'}${level}`,
    ...constraints.map((byte) => byte.toString(16).toUpperCase()),
  ];
  return parts.join('.');
}

/** Returns bytes, or the first of them, without the 3 of each sequence 0, 0, 3, which encoders insert. */
export function unescape(bytes: Uint8Array, length = Infinity): number[] {
  const result: number[] = [];
  let zeros = 0;
  for (const byte of bytes) {
    if (result.length === length) break;
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    result.push(byte);
  }
  return result;
}
