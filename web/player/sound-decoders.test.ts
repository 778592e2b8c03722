import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { SoundInfo } from '../client/events.ts';
import type { SoundUnit } from '../client/frame.ts';
import { createSoundDecoder, type SoundDecoder } from './sound-decoders.ts';
import type { SoundPiece } from './sound-schedule.ts';

const AAC: SoundInfo = { codec: 'aac', type: 'mp4a.40.2', rate: 48_000, channels: 2, config: '1190' };
const OPUS: SoundInfo = { codec: 'opus', type: 'opus', rate: 48_000, channels: 2 };
/** The length of an AAC unit in µs. */
const UNIT = 21_333;
const EPOCH = 1_700_000_000_000_000;

let pieces: SoundPiece[];
let failures: number;
/** The units in each file that was decoded, by their only byte. */
let files: number[][];
/** Answers the oldest file; without an argument it decodes it. */
let answers: ((error?: Error) => void)[];

beforeEach(() => {
  pieces = [];
  failures = 0;
  files = [];
  answers = [];
});
afterEach(() => vi.unstubAllGlobals());

/** A context whose files have as many samples as their units, less what `trimmed` says. */
const contextWith = (trimmed = 0): Pick<BaseAudioContext, 'sampleRate' | 'decodeAudioData'> => ({
  sampleRate: 48_000,
  decodeAudioData: (file: ArrayBuffer) => {
    const bytes = new Uint8Array(file);
    const units = Array.from({ length: bytes.length / 8 }, (_, index) => bytes[index * 8 + 7] ?? 0);
    files.push(units);
    const samples = Float32Array.from({ length: units.length * 1024 - trimmed }, (_, at) => {
      return units[Math.floor((at + trimmed) / 1024)] ?? 0;
    });
    const buffer = {
      length: samples.length,
      sampleRate: 48_000,
      numberOfChannels: 2,
      getChannelData: () => samples,
    };
    return new Promise((resolve, reject) =>
      answers.push((error) => {
        if (error) reject(error);
        else resolve(buffer as unknown as AudioBuffer);
      }),
    );
  },
});

const open = (info: SoundInfo, context = contextWith()): SoundDecoder =>
  createSoundDecoder(info, context, {
    decoded: (piece) => pieces.push(piece),
    failed: () => (failures += 1),
  });

const unit = (mark: number): SoundUnit => ({
  camera: 'a',
  codec: 16,
  discontinuity: false,
  sequence: mark,
  captureTime: EPOCH + mark * UNIT,
  receiptTime: 0,
  payload: Uint8Array.of(mark),
});

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
async function answer(error?: Error): Promise<void> {
  answers.shift()?.(error);
  await settle();
}

test('G.711 is decoded at once', () => {
  const decoder = open({ codec: 'pcmu', type: 'ulaw', rate: 8_000, channels: 1 });
  decoder.decode({ ...unit(1), payload: Uint8Array.of(0xff, 0x80) }, true);
  expect(pieces).toEqual([
    {
      channels: [Float32Array.of(0, 32_124 / 32_768)],
      rate: 8_000,
      captureTime: EPOCH + UNIT,
      follows: true,
    },
  ]);
});

test('without WebCodecs AAC is decoded in files that overlap, one at a time', async () => {
  const decoder = open(AAC);
  for (let mark = 1; mark <= 5; mark++) decoder.decode(unit(mark), mark > 1);
  // The first units only prepare the decoder.
  expect(files).toEqual([[1, 2, 3, 4]]);
  decoder.decode(unit(6), true);
  await answer();
  expect(files[1]).toEqual([2, 3, 4, 5, 6]);
  await answer();
  decoder.decode(unit(7), true);
  expect(files[2]).toEqual([4, 5, 6, 7]);
  await answer();
  const marks = pieces.map(({ channels }) => [...new Set(channels[0])]);
  expect(marks).toEqual([[4], [5, 6], [7]]);
  expect(pieces.map(({ channels }) => channels.length)).toEqual([2, 2, 2]);
  expect(pieces.map(({ captureTime }) => (captureTime - EPOCH) / UNIT)).toEqual([4, 5, 7]);
  expect(pieces.map(({ follows }) => follows)).toEqual([false, true, true]);
});

test('a browser that removes the start of a file does not shift the sound', async () => {
  const decoder = open(AAC, contextWith(2_112));
  for (let mark = 1; mark <= 4; mark++) decoder.decode(unit(mark), mark > 1);
  await answer();
  expect([...new Set(pieces[0]?.channels[0])]).toEqual([4]);
  expect(pieces[0]?.channels[0]).toHaveLength(1024);
});

test('where units are missing, nothing before the gap is decoded with what follows', async () => {
  const decoder = open(AAC);
  for (let mark = 1; mark <= 4; mark++) decoder.decode(unit(mark), mark > 1);
  for (let mark = 9; mark <= 12; mark++) decoder.decode(unit(mark), mark > 9);
  await answer();
  await answer();
  expect(files).toEqual([
    [1, 2, 3, 4],
    [9, 10, 11, 12],
  ]);
  expect(pieces.map(({ captureTime, follows }) => [(captureTime - EPOCH) / UNIT, follows])).toEqual([
    [4, false],
    [12, false],
  ]);
});

test('files that cannot be decoded are reported, single ones are skipped', async () => {
  const decoder = open(AAC);
  const damaged = new Error('damaged');
  for (let mark = 1; mark <= 4; mark++) decoder.decode(unit(mark), mark > 1);
  await answer(damaged);
  decoder.decode(unit(5), true);
  await answer();
  expect(pieces.map(({ follows }) => follows)).toEqual([false]);
  for (let mark = 6; mark <= 8; mark++) {
    expect(failures).toBe(0);
    decoder.decode(unit(mark), true);
    await answer(damaged);
  }
  expect(failures).toBe(1);
});

test('a decoder that does not answer holds a bounded number of units', async () => {
  const decoder = open(AAC);
  for (let mark = 1; mark <= 200; mark++) decoder.decode(unit(mark), mark > 1);
  await answer();
  expect(files[1]?.length).toBeLessThanOrEqual(50);
  expect(files[1]?.at(-1)).toBe(200);
});

test('AAC that no file can express, and Opus without WebCodecs, are reported', async () => {
  open({ ...AAC, config: '178000' });
  open(OPUS);
  await settle();
  expect(failures).toBe(2);
});

/** A fake AudioDecoder that decodes each chunk at once. */
class FakeAudioDecoder {
  static supported = true;
  static readonly all: FakeAudioDecoder[] = [];
  static isConfigSupported(): Promise<{ supported: boolean }> {
    return Promise.resolve({ supported: FakeAudioDecoder.supported });
  }

  state = 'unconfigured';
  decodeQueueSize = 0;
  config: AudioDecoderConfig | undefined;
  readonly closedData: number[] = [];

  constructor(readonly init: AudioDecoderInit) {
    FakeAudioDecoder.all.push(this);
  }

  configure(config: AudioDecoderConfig): void {
    this.config = config;
    this.state = 'configured';
  }

  decode({ timestamp }: { timestamp: number }): void {
    this.init.output({
      timestamp,
      numberOfFrames: 2,
      numberOfChannels: 2,
      sampleRate: 48_000,
      copyTo: (samples: Float32Array, { planeIndex }: { planeIndex: number }) => samples.fill(planeIndex + 1),
      close: () => this.closedData.push(timestamp),
    } as unknown as AudioData);
  }

  close(): void {
    this.state = 'closed';
  }
}

async function openNative(info: SoundInfo): Promise<SoundDecoder> {
  FakeAudioDecoder.all.length = 0;
  FakeAudioDecoder.supported = true;
  vi.stubGlobal('AudioDecoder', FakeAudioDecoder);
  vi.stubGlobal(
    'EncodedAudioChunk',
    class {
      readonly timestamp: number;
      constructor({ timestamp }: { timestamp: number }) {
        this.timestamp = timestamp;
      }
    },
  );
  const decoder = open(info);
  await settle();
  return decoder;
}

test('with WebCodecs each unit is decoded for itself, and its data is released', async () => {
  const decoder = await openNative(AAC);
  decoder.decode(unit(1), false);
  decoder.decode(unit(2), true);
  decoder.decode(unit(5), false);
  const [native] = FakeAudioDecoder.all;
  expect(native?.config).toEqual({
    codec: 'mp4a.40.2',
    sampleRate: 48_000,
    numberOfChannels: 2,
    description: Uint8Array.of(0x11, 0x90),
  });
  expect(pieces.map(({ captureTime, follows }) => [(captureTime - EPOCH) / UNIT, follows])).toEqual([
    [1, false],
    [2, true],
    [5, false],
  ]);
  expect(pieces[0]?.channels).toEqual([Float32Array.of(1, 1), Float32Array.of(2, 2)]);
  expect(native?.closedData).toHaveLength(3);
  decoder.close();
  expect(native?.state).toBe('closed');
});

test('Opus needs no description', async () => {
  const decoder = await openNative(OPUS);
  decoder.decode(unit(1), false);
  expect(FakeAudioDecoder.all[0]?.config).toEqual({
    codec: 'opus',
    sampleRate: 48_000,
    numberOfChannels: 2,
  });
});

test('a damaged unit costs a decoder, several in a row the sound', async () => {
  const decoder = await openNative(AAC);
  const fail = (): void => FakeAudioDecoder.all.at(-1)?.init.error(new DOMException('damaged'));
  decoder.decode(unit(1), false);
  fail();
  decoder.decode(unit(2), true);
  expect(FakeAudioDecoder.all).toHaveLength(2);
  expect(pieces.map(({ follows }) => follows)).toEqual([false, false]);
  expect(failures).toBe(0);
  for (let time = 0; time < 3; time++) {
    FakeAudioDecoder.prototype.decode = () => undefined;
    decoder.decode(unit(3 + time), true);
    fail();
  }
  expect(failures).toBe(1);
});

test('a codec that the browser does not decode is reported', async () => {
  vi.stubGlobal('AudioDecoder', FakeAudioDecoder);
  FakeAudioDecoder.supported = false;
  open(AAC);
  await settle();
  expect(failures).toBe(1);
});
