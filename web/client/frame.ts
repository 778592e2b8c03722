// The binary messages of the wall socket's `ocelli.v2` form. Decodes only; what a payload means to a screen
// belongs to the player. Whatever arrives, nothing here throws: a message that makes no sense is `undefined`.

export const KIND_FRAME = 1;
export const CODEC_JPEG = 1;

const VERSION = 2;
const KEY_FLAG = 1;
const DISCONTINUITY_FLAG = 2;
const ID_LENGTH_OFFSET = 28;

/** One stamped encoded picture. Times are µs since the Unix epoch by the hub's clock; 0 means unknown. */
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

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The frame in a binary message; `undefined` for rubbish and for kinds this client does not know. */
export function decodeFrame(message: ArrayBuffer): Frame | undefined {
  if (message.byteLength <= ID_LENGTH_OFFSET) return undefined;
  const view = new DataView(message);
  if (view.getUint8(0) !== VERSION || view.getUint8(1) !== KIND_FRAME) return undefined;
  const idLength = view.getUint8(ID_LENGTH_OFFSET);
  const payloadOffset = ID_LENGTH_OFFSET + 1 + idLength;
  // A frame without a single byte of picture is rubbish too.
  if (idLength === 0 || payloadOffset >= message.byteLength) return undefined;
  const camera = decodeId(new Uint8Array(message, ID_LENGTH_OFFSET + 1, idLength));
  if (camera === undefined) return undefined;
  const flags = view.getUint8(3);
  return {
    camera,
    codec: view.getUint8(2),
    key: (flags & KEY_FLAG) !== 0,
    discontinuity: (flags & DISCONTINUITY_FLAG) !== 0,
    group: view.getUint32(4),
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

/** As a number: µs since the epoch stay exact until the year 2255; beyond that the value is rubbish anyway. */
function microseconds(view: DataView, offset: number): number {
  return view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4);
}
