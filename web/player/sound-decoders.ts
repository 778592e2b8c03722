// Decodes the sound of a camera: G.711 by a table, AAC and Opus by the browser's decoder (WebCodecs), which only secure
// pages have, and elsewhere AAC as small files.
import type { SoundInfo } from '../client/events.ts';
import type { SoundUnit } from '../client/frame.ts';
import { aacConfig, adtsFile, bytesOfHex, parseAacConfig, rateOf, type AacFormat } from './sound-adts.ts';
import { decodeG711 } from './sound-g711.ts';
import type { SoundPiece } from './sound-schedule.ts';

export interface SoundDecoderEvents {
  decoded(piece: SoundPiece): void;
  /** The browser cannot decode it. */
  failed(): void;
}

export interface SoundDecoder {
  /** `follows` is whether nothing is missing between the last unit and this one. */
  decode(unit: SoundUnit, follows: boolean): void;
  close(): void;
}

/** A decoder that fails this often without any output in between is given up. */
const MAX_ERRORS = 3;
/** More units than this in a decoder are a decoder that has stopped; the oldest are skipped. */
const MAX_WAITING = 50;
const SAMPLES_OF_AAC = 1024;
/**
 * A file starts with so many units that were decoded before, because the first ones of a file come out damaged: a unit
 * overlaps with the next one, and some browsers remove the delay of the encoder.
 */
const OVERLAP = 3;

export function createSoundDecoder(
  info: SoundInfo,
  context: Pick<BaseAudioContext, 'sampleRate' | 'decodeAudioData'>,
  events: SoundDecoderEvents,
): SoundDecoder {
  const { codec, rate, channels, config } = info;
  if (codec === 'pcma' || codec === 'pcmu') {
    return {
      decode: ({ payload, captureTime }, follows) =>
        events.decoded({ channels: decodeG711(codec, payload, channels), rate, captureTime, follows }),
      close: () => undefined,
    };
  }
  const description = config === undefined ? aacConfig(rate, channels) : bytesOfHex(config);
  if (typeof AudioDecoder === 'function') {
    const type = { codec: info.type, sampleRate: rate, numberOfChannels: channels };
    return new NativeSoundDecoder(codec === 'aac' ? { ...type, description } : type, events);
  }
  const format = codec === 'aac' ? parseAacConfig(description) : undefined;
  if (format) return new FileSoundDecoder(format, context, events);
  queueMicrotask(() => events.failed());
  return { decode: () => undefined, close: () => undefined };
}

/** Decodes by WebCodecs. */
class NativeSoundDecoder implements SoundDecoder {
  readonly #config: AudioDecoderConfig;
  readonly #events: SoundDecoderEvents;
  #decoder: AudioDecoder | undefined;
  #isSupported = false;
  #isClosed = false;
  #errors = 0;
  /** The capture time at timestamp 0. */
  #start: number | undefined;
  /** The timestamps of units that do not follow the one before. */
  #gaps: number[] = [];

  constructor(config: AudioDecoderConfig, events: SoundDecoderEvents) {
    this.#config = config;
    this.#events = events;
    void this.#check();
  }

  decode({ payload, captureTime }: SoundUnit, follows: boolean): void {
    if (!this.#isSupported || this.#isClosed) return;
    this.#start ??= captureTime;
    const timestamp = captureTime - this.#start;
    if (this.#decoder && this.#decoder.decodeQueueSize > MAX_WAITING) this.#release();
    if (!follows || !this.#decoder) this.#gaps.push(timestamp);
    try {
      this.#decoder ??= this.#create();
      this.#decoder.decode(new EncodedAudioChunk({ type: 'key', timestamp, data: payload }));
    } catch {
      this.#fail();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#release();
  }

  async #check(): Promise<void> {
    const answer = await AudioDecoder.isConfigSupported(this.#config).catch(() => undefined);
    this.#isSupported = answer?.supported ?? false;
    if (!this.#isSupported && !this.#isClosed) this.#events.failed();
  }

  #create(): AudioDecoder {
    const decoder = new AudioDecoder({
      output: (data) => {
        if (decoder === this.#decoder) this.#output(data);
        data.close();
      },
      error: () => {
        if (decoder === this.#decoder) this.#fail();
      },
    });
    decoder.configure(this.#config);
    return decoder;
  }

  #output(data: AudioData): void {
    this.#errors = 0;
    const gaps = this.#gaps.length;
    this.#gaps = this.#gaps.filter((timestamp) => timestamp > data.timestamp);
    const channels = Array.from({ length: data.numberOfChannels }, (_, planeIndex) => {
      const samples = new Float32Array(data.numberOfFrames);
      data.copyTo(samples, { planeIndex, format: 'f32-planar' });
      return samples;
    });
    const captureTime = data.timestamp + (this.#start ?? 0);
    this.#events.decoded({
      channels,
      rate: data.sampleRate,
      captureTime,
      follows: this.#gaps.length === gaps,
    });
  }

  /** A damaged unit ends a decoder. The next one gets a new decoder. */
  #fail(): void {
    this.#release();
    this.#errors += 1;
    if (this.#errors < MAX_ERRORS) return;
    this.#isClosed = true;
    this.#events.failed();
  }

  #release(): void {
    if (this.#decoder && this.#decoder.state !== 'closed') this.#decoder.close();
    this.#decoder = undefined;
  }
}

/** Decodes AAC as files of a few units, for pages without WebCodecs. */
class FileSoundDecoder implements SoundDecoder {
  readonly #format: AacFormat;
  readonly #context: Pick<BaseAudioContext, 'sampleRate' | 'decodeAudioData'>;
  readonly #events: SoundDecoderEvents;
  /** Units that are not decoded yet, and the last ones that are. */
  #waiting: SoundUnit[] = [];
  #decoded: SoundUnit[] = [];
  /** Whether the next piece follows the last one. */
  #follows = false;
  #isDecoding = false;
  #isClosed = false;
  #errors = 0;

  constructor(
    format: AacFormat,
    context: Pick<BaseAudioContext, 'sampleRate' | 'decodeAudioData'>,
    events: SoundDecoderEvents,
  ) {
    this.#format = format;
    this.#context = context;
    this.#events = events;
  }

  decode(unit: SoundUnit, follows: boolean): void {
    if (!follows || this.#waiting.length >= MAX_WAITING) {
      this.#waiting = [];
      this.#decoded = [];
      this.#follows = false;
    }
    this.#waiting.push(unit);
    if (!this.#isDecoding) void this.#decodeWaiting();
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
  }

  async #decodeWaiting(): Promise<void> {
    this.#isDecoding = true;
    while (this.#waiting.length > 0 && !this.#isClosed) {
      const units = [...this.#decoded, ...this.#waiting];
      // The first units only prepare the decoder.
      const fresh = units.slice(OVERLAP);
      this.#decoded = units.slice(-OVERLAP);
      this.#waiting = [];
      const [first] = fresh;
      if (!first) continue;
      const payloads = units.map(({ payload }) => payload);
      const file = adtsFile(this.#format, payloads).buffer;
      const follows = this.#follows;
      this.#follows = true;
      const decoded = await this.#context.decodeAudioData(file).catch(() => undefined);
      this.#deliver(decoded, fresh.length, { captureTime: first.captureTime, follows });
    }
    this.#isDecoding = false;
  }

  #deliver(
    decoded: AudioBuffer | undefined,
    units: number,
    piece: Pick<SoundPiece, 'captureTime' | 'follows'>,
  ): void {
    if (this.#isClosed) return;
    const length = Math.round((units * SAMPLES_OF_AAC * this.#context.sampleRate) / rateOf(this.#format));
    if (!decoded || decoded.length < length) {
      this.#follows = false;
      this.#errors += 1;
      if (this.#errors < MAX_ERRORS) return;
      this.close();
      this.#events.failed();
      return;
    }
    this.#errors = 0;
    const channels = Array.from({ length: decoded.numberOfChannels }, (_, channel) =>
      decoded.getChannelData(channel).slice(decoded.length - length),
    );
    this.#events.decoded({ channels, rate: decoded.sampleRate, ...piece });
  }
}
