// The text messages of the wall socket: the hub's events, validated, and the client's commands.

export type CameraState = 'idle' | 'starting' | 'live' | 'stalled' | 'failed';
/** A camera's stream: `sub` for tiles, `main` for full screen. */
export type StreamChoice = 'main' | 'sub';
/** The codecs of native video that browsers may decode, by their names on the wall socket. */
export type NativeCodec = 'h264' | 'h265';

/** How a camera is subscribed. */
export interface Subscription {
  readonly stream: StreamChoice;
  /** The codecs of native video to send as they are, best first. Any other stream is sent as JPEG. */
  readonly codecs: readonly NativeCodec[];
  /** Whether only the key frames of native video are sent. */
  readonly keyOnly?: boolean;
  /** Whether its sound is sent too. One camera at a time has it. */
  readonly sound?: boolean;
  /** False if only its sound is wanted. */
  readonly pictures?: boolean;
}

/** The codecs of sound, by their names on the wall socket. The last two are G.711, A-law and µ-law. */
export type SoundCodec = 'aac' | 'opus' | 'pcma' | 'pcmu';

/** A camera's sound as the camera encodes it. */
export interface SoundInfo {
  readonly codec: SoundCodec;
  /** The type string of WebCodecs, such as `mp4a.40.2`. */
  readonly type: string;
  /** In Hz. */
  readonly rate: number;
  readonly channels: number;
  /** Of AAC, the AudioSpecificConfig (ISO/IEC 14496-3) in hexadecimal. */
  readonly config?: string;
}

/** One of a camera's streams as the camera encodes it. What is not known yet is missing. */
export interface StreamInfo {
  readonly name: string;
  readonly codec: string;
  /** The full type string, such as `avc1.64001f`. */
  readonly type?: string;
  readonly width?: number;
  readonly height?: number;
  readonly fps?: number;
}

export interface Camera {
  readonly id: string;
  readonly name: string;
  readonly state: CameraState;
  readonly reason?: string;
  readonly codecs: readonly string[];
  /** Empty until the hub knows them. */
  readonly streams: readonly StreamInfo[];
  /** Whether the camera has a substream. It is listed in `streams` only after its first viewer. */
  readonly hasSubstream?: boolean;
  readonly width?: number;
  readonly height?: number;
  /** Missing if it has none, or none that is known yet. */
  readonly sound?: SoundInfo;
}

export interface DeliveryCounts {
  readonly sent: number;
  readonly dropped: number;
  readonly viewers: number;
  /** Whether this viewer is too slow for the camera's video, so that the hub skips the rest of a group. */
  readonly lagging: boolean;
}

export type HubEvent =
  | {
      readonly type: 'hello';
      readonly version: string;
      readonly time: number;
      readonly cameras: readonly Camera[];
    }
  | { readonly type: 'camera'; readonly camera: Camera }
  | { readonly type: 'gone'; readonly id: string }
  | { readonly type: 'error'; readonly code: string; readonly message: string; readonly camera?: string }
  | { readonly type: 'stats'; readonly time: number; readonly cameras: ReadonlyMap<string, DeliveryCounts> }
  | { readonly type: 'pong'; readonly t: number; readonly time: number };

export type Command =
  | {
      readonly cmd: 'subscribe';
      readonly cameras: readonly string[];
      readonly credit?: number;
      readonly maxFps?: number;
      readonly stream?: StreamChoice;
      readonly codecs?: readonly string[];
      readonly keyOnly?: boolean;
      readonly sound?: boolean;
    }
  | { readonly cmd: 'unsubscribe'; readonly cameras: readonly string[] }
  | { readonly cmd: 'credit'; readonly add: Readonly<Record<string, number>> }
  | { readonly cmd: 'retry'; readonly cameras: readonly string[] }
  | { readonly cmd: 'ping'; readonly t: number };

const SOUND_CODECS: ReadonlySet<string> = new Set<SoundCodec>(['aac', 'opus', 'pcma', 'pcmu']);
/** What browsers can play; in Hz. */
const MIN_SOUND_RATE = 8_000;
const MAX_SOUND_RATE = 96_000;
const MAX_CHANNELS = 8;
const STATES: ReadonlySet<string> = new Set<CameraState>(['idle', 'starting', 'live', 'stalled', 'failed']);

/** Parses a text message. Returns `undefined` for invalid messages and unknown events. */
export function parseEvent(text: string): HubEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const fields = asObject(value);
  if (!fields) return undefined;
  switch (fields['type']) {
    case 'hello':
      return {
        type: 'hello',
        version: asString(fields['version']),
        time: asNumber(fields['time']) ?? 0,
        cameras: parseCameras(fields['cameras']),
      };
    case 'camera': {
      const camera = parseCamera(fields['camera']);
      return camera && { type: 'camera', camera };
    }
    case 'gone': {
      const id = asString(fields['id']);
      return id === '' ? undefined : { type: 'gone', id };
    }
    case 'error': {
      const camera = asString(fields['camera']);
      const code = asString(fields['code']);
      return { type: 'error', code, message: asString(fields['message']), ...(camera !== '' && { camera }) };
    }
    case 'stats':
      return { type: 'stats', time: asNumber(fields['time']) ?? 0, cameras: parseCounts(fields['cameras']) };
    case 'pong': {
      const t = asNumber(fields['t']);
      const time = asNumber(fields['time']);
      return t === undefined || time === undefined ? undefined : { type: 'pong', t, time };
    }
    default:
      return undefined;
  }
}

/** Parses a camera of the socket or of the REST list, whose rows have the same fields (null where one is missing). */
export function parseCamera(value: unknown): Camera | undefined {
  const fields = asObject(value);
  const id = asString(fields?.['id']);
  if (!fields || id === '') return undefined;
  const state = asString(fields['state']);
  const reason = asString(fields['reason']);
  const width = asNumber(fields['width']);
  const height = asNumber(fields['height']);
  const sound = parseSound(fields['sound']);
  const codecs = Array.isArray(fields['codecs']) ? fields['codecs'] : [];
  return {
    id,
    name: asString(fields['name']) || id,
    state: STATES.has(state) ? (state as CameraState) : 'idle',
    ...(reason !== '' && { reason }),
    codecs: codecs.filter((codec): codec is string => typeof codec === 'string'),
    streams: parseStreams(fields['streams']),
    ...(fields['hasSubstream'] === true && { hasSubstream: true }),
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    ...(sound && { sound }),
  };
}

export function parseCameras(value: unknown): Camera[] {
  if (!Array.isArray(value)) return [];
  return value.map(parseCamera).filter((camera) => camera !== undefined);
}

function parseStreams(value: unknown): StreamInfo[] {
  if (!Array.isArray(value)) return [];
  const streams = value.map((row: unknown): StreamInfo | undefined => {
    const fields = asObject(row);
    const name = asString(fields?.['name']);
    const codec = asString(fields?.['codec']);
    if (!fields || name === '' || codec === '') return undefined;
    const type = asString(fields['type']);
    const [width, height, fps] = [fields['width'], fields['height'], fields['fps']].map(asNumber);
    return {
      name,
      codec,
      ...(type !== '' && { type }),
      ...(width !== undefined && { width }),
      ...(height !== undefined && { height }),
      ...(fps !== undefined && { fps }),
    };
  });
  return streams.filter((stream) => stream !== undefined);
}

/** Parses a description of sound. Returns `undefined` for codecs that no browser plays. */
function parseSound(value: unknown): SoundInfo | undefined {
  const fields = asObject(value);
  const codec = asString(fields?.['codec']);
  const rate = asNumber(fields?.['rate']) ?? 0;
  const channels = asNumber(fields?.['channels']) ?? 1;
  if (!SOUND_CODECS.has(codec) || rate < MIN_SOUND_RATE || rate > MAX_SOUND_RATE) return undefined;
  if (!Number.isInteger(channels) || channels < 1 || channels > MAX_CHANNELS) return undefined;
  const config = asString(fields?.['config']);
  return {
    codec: codec as SoundCodec,
    type: asString(fields?.['type']),
    rate,
    channels,
    ...(config !== '' && { config }),
  };
}

function parseCounts(value: unknown): Map<string, DeliveryCounts> {
  const counts = new Map<string, DeliveryCounts>();
  for (const [id, row] of Object.entries(asObject(value) ?? {})) {
    const fields = asObject(row);
    if (!fields) continue;
    counts.set(id, {
      sent: asNumber(fields['sent']) ?? 0,
      dropped: asNumber(fields['dropped']) ?? 0,
      viewers: asNumber(fields['viewers']) ?? 0,
      lagging: fields['lagging'] === true,
    });
  }
  return counts;
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function asString(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
