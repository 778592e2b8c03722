// Decodes G.711 (ITU-T G.711): one byte per sample, A-law or µ-law.

const SIZE = 256;
/** The step from 16-bit samples to those of the browser, from -1 to 1. */
const SCALE = 2 ** -15;

/** The 16-bit sample of an A-law byte, whose even bits are inverted. */
function fromALaw(byte: number): number {
  const bits = byte ^ 0x55;
  const segment = (bits >> 4) & 7;
  const step = ((bits & 15) << 4) + 8;
  const magnitude = segment === 0 ? step : (step + 0x100) << (segment - 1);
  return (bits & 0x80) !== 0 ? magnitude : -magnitude;
}

/** The 16-bit sample of a µ-law byte, whose bits are inverted. */
function fromMuLaw(byte: number): number {
  const BIAS = 0x84;
  const bits = ~byte;
  const magnitude = ((((bits & 15) << 3) + BIAS) << ((bits >> 4) & 7)) - BIAS;
  return (bits & 0x80) !== 0 ? -magnitude : magnitude;
}

const table = (sample: (byte: number) => number): Float32Array =>
  Float32Array.from({ length: SIZE }, (_, byte) => sample(byte) * SCALE);

const TABLES = { pcma: table(fromALaw), pcmu: table(fromMuLaw) };

/** Decodes samples of all channels in turn. Returns the samples of each channel. */
export function decodeG711(
  codec: 'pcma' | 'pcmu',
  bytes: Uint8Array,
  channels: number,
): Float32Array<ArrayBuffer>[] {
  const values = TABLES[codec];
  const length = Math.floor(bytes.length / channels);
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length }, (_, at) => values[bytes[at * channels + channel] ?? 0] ?? 0),
  );
}
