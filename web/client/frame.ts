// Decodes the binary messages of the wall socket's `ocelli.v2` protocol. It does not interpret payloads and never
// throws: invalid messages decode to `undefined`.

export const KIND_FRAME = 1;
export const KIND_SOUND = 4;
export const CODEC_JPEG = 1;
export const CODEC_H264 = 2;
export const CODEC_H265 = 3;
export const CODEC_AAC = 16;
export const CODEC_OPUS = 17;
export const CODEC_ALAW = 18;
export const CODEC_MULAW = 19;

const VERSION = 2;
const KEY_FLAG = 1;
const DISCONTINUITY_FLAG = 2;
const ID_LENGTH_OFFSET = 28;

/** One stamped encoded picture: a JPEG, or an access unit in Annex B. Times are µs since the Unix epoch by the hub's clock; 0 means unknown. */
export interface Frame {
  readonly camera: string;
  readonly codec: number;
  readonly key: boolean;
  readonly discontinuity: boolean;
  readonly group: number;
  readonly sequence: number;
  readonly captureTime: number;
  readonly receiptTime: number;
  /** A view into the message, not a copy. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** One unit of encoded sound: a raw AAC access unit, an Opus packet, or samples of G.711. Times are as in a frame. */
export interface SoundUnit {
  readonly camera: string;
  readonly codec: number;
  /** Whether sound before this unit is missing. */
  readonly discontinuity: boolean;
  readonly sequence: number;
  /** That of the first sample. */
  readonly captureTime: number;
  readonly receiptTime: number;
  /** A view into the message, not a copy. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** Whether a frame is one access unit of H.264 or H.265. */
export function isNative(codec: number): boolean {
  return codec === CODEC_H264 || codec === CODEC_H265;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes a picture. Returns `undefined` for invalid messages and other kinds. */
export function decodeFrame(message: ArrayBuffer): Frame | undefined {
  const fields = decodeMessage(message, KIND_FRAME);
  if (!fields) return undefined;
  const view = new DataView(message);
  return { ...fields, key: (view.getUint8(3) & KEY_FLAG) !== 0, group: view.getUint32(4) };
}

/** Decodes a unit of sound. Returns `undefined` for invalid messages and other kinds. */
export function decodeSound(message: ArrayBuffer): SoundUnit | undefined {
  return decodeMessage(message, KIND_SOUND);
}

/** The fields that all kinds share. */
function decodeMessage(message: ArrayBuffer, kind: number): SoundUnit | undefined {
  if (message.byteLength <= ID_LENGTH_OFFSET) return undefined;
  const view = new DataView(message);
  if (view.getUint8(0) !== VERSION || view.getUint8(1) !== kind) return undefined;
  const idLength = view.getUint8(ID_LENGTH_OFFSET);
  const payloadOffset = ID_LENGTH_OFFSET + 1 + idLength;
  // An empty payload is invalid too.
  if (idLength === 0 || payloadOffset >= message.byteLength) return undefined;
  const camera = decodeId(new Uint8Array(message, ID_LENGTH_OFFSET + 1, idLength));
  if (camera === undefined) return undefined;
  return {
    camera,
    codec: view.getUint8(2),
    discontinuity: (view.getUint8(3) & DISCONTINUITY_FLAG) !== 0,
    sequence: view.getUint32(8),
    captureTime: microseconds(view, 12),
    receiptTime: microseconds(view, 20),
    payload: new Uint8Array(message, payloadOffset),
  };
}

function decodeId(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Reads a time as a number. µs since the epoch are exact until the year 2255; later values are invalid anyway. */
function microseconds(view: DataView, offset: number): number {
  return view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4);
}
