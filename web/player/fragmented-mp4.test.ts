// The written files, read back by ffmpeg, and their fields byte by byte.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as path } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CODEC_H264, CODEC_H265 } from '../client/frame.ts';
import { fragment, initSegment, join } from './fragmented-mp4.ts';
import { pictureFormat, sampleUnits, splitUnits } from './parameter-sets.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const directory = mkdtempSync(path(tmpdir(), 'ocelli-mp4-'));
afterAll(() => rmSync(directory, { recursive: true }));

const run = (program: string, ...args: string[]): Buffer =>
  execFileSync(program, ['-hide_banner', '-loglevel', 'error', ...args], { maxBuffer: 2 ** 26 });

const INTERVAL = 40_000;

interface Encoded {
  readonly units: readonly Bytes[];
  /** The presentation time of each unit, in intervals. */
  readonly times: readonly number[];
}

/** Encodes test pictures. The units have delimiters in front, as some cameras send them. */
function encode(codec: number, options: readonly string[], pixels = 'yuv420p', size = '98x60'): Encoded {
  const [name, library] = codec === CODEC_H264 ? ['h264', 'libx264'] : ['hevc', 'libx265'];
  const file = path(directory, 'source.mp4');
  const source = ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=25:duration=0.48`, '-pix_fmt', pixels];
  run(
    'ffmpeg',
    '-y',
    ...source,
    '-c:v',
    library,
    '-threads',
    '1',
    '-preset',
    'veryfast',
    '-g',
    '10',
    ...options,
    '-bf',
    '2',
    file,
  );
  const packets = run('ffprobe', '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', file).toString();
  const times = packets
    .trim()
    .split('\n')
    .map((line) => Math.round(parseFloat(line) * 25));
  const filter = `${name}_mp4toannexb,${name}_metadata=aud=insert`;
  const stream = new Uint8Array(run('ffmpeg', '-i', file, '-c', 'copy', '-bsf:v', filter, '-f', name, '-'));
  const delimiter = codec === CODEC_H264 ? 0x09 : 0x46;
  const units: Bytes[] = [];
  for (const nal of splitUnits(stream)) {
    const bytes = join([Uint8Array.of(0, 0, 0, 1), nal]);
    const isNew = codec === CODEC_H264 ? ((nal[0] ?? 0) & 31) === delimiter : nal[0] === delimiter;
    const last = isNew ? undefined : units.pop();
    units.push(last ? join([last, bytes]) : bytes);
  }
  return { units, times };
}

function write(codec: number, { units, times }: Encoded): string {
  const parts = units.map((unit, index) => {
    const nals = splitUnits(unit);
    const init = initSegment(codec, nals);
    const sample = fragment(
      index + 1,
      {
        decodeTime: index * INTERVAL,
        presentationTime: 10_000_000 + (times[index] ?? 0) * INTERVAL,
        duration: INTERVAL,
      },
      init !== undefined,
      sampleUnits(codec, nals),
    );
    return init && index === 0 ? join([init, sample]) : sample;
  });
  const file = path(directory, 'written.mp4');
  writeFileSync(file, join(parts));
  return file;
}

/** A checksum of each picture, in the order of presentation. */
const pictures = (file: string): string[] =>
  run('ffmpeg', '-i', file, '-fps_mode', 'passthrough', '-f', 'framemd5', '-')
    .toString()
    .split('\n')
    .filter((line) => /^\d/.test(line))
    .map((line) => line.split(',').at(-1) ?? '');

describe('ffmpeg decodes the same pictures from the written file', () => {
  test.each([
    ['H.264, high profile', CODEC_H264, ['-profile:v', 'high'], 'yuv420p', 'avc1'],
    [
      'H.264, main profile, interlaced',
      CODEC_H264,
      ['-profile:v', 'main', '-flags', '+ildct'],
      'yuv420p',
      'avc1',
    ],
    ['H.264, 4:4:4', CODEC_H264, ['-profile:v', 'high444'], 'yuv444p', 'avc1'],
    ['H.265, main profile', CODEC_H265, ['-x265-params', 'log-level=none'], 'yuv420p', 'hvc1'],
    ['H.265, 10 bits', CODEC_H265, ['-x265-params', 'log-level=none'], 'yuv420p10le', 'hvc1'],
  ])('%s', { timeout: 30_000 }, (_, codec, options, pixels, tag) => {
    const encoded = encode(codec, options, pixels);
    expect(encoded.units).toHaveLength(12);
    const expected = pictures(path(directory, 'source.mp4'));
    const file = write(codec, encoded);
    expect(pictures(file)).toEqual(expected);
    const entries = 'stream=codec_tag_string,width,height:packet=pts_time,flags';
    const probed = run('ffprobe', '-show_entries', entries, '-of', 'csv=p=0', file)
      .toString()
      .trim()
      .split('\n');
    expect(probed.at(-1)).toBe(`${tag},98,60`);
    const packets = probed.slice(0, -1).map((line) => line.split(','));
    expect(packets.map(([time]) => Math.round((Number(time) - 10) * 25))).toEqual(encoded.times);
    expect(packets.filter(([, flags]) => flags?.startsWith('K'))).toHaveLength(2);
  });

  test('pixels that are not square keep their shape', { timeout: 30_000 }, () => {
    const encoded = encode(CODEC_H264, ['-vf', 'setsar=16/11']);
    const entries = 'stream=sample_aspect_ratio';
    const file = write(CODEC_H264, encoded);
    expect(run('ffprobe', '-show_entries', entries, '-of', 'csv=p=0', file).toString().trim()).toBe('16:11');
  });
});

// A key frame of x264: constrained baseline, 640x360.
const SPS = [0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x61, 0x00, 0x00, 0x03, 0x00, 0x01];
const REST = [0x00, 0x00, 0x03, 0x00, 0x1e, 0x0f, 0x16, 0x2e, 0x48];
const KEY = [
  ...[0, 0, 0, 1, 0x09, 0xf0, 0, 0, 0, 1, ...SPS, ...REST],
  ...[0, 0, 0, 1, 0x68, 0xcb, 0x83, 0xcb, 0x20, 0, 0, 1, 0x65, 0x88, 0x84, 0, 0],
];

test('reads the size from the parameter set', () => {
  expect(pictureFormat(CODEC_H264, Uint8Array.from([...SPS, ...REST]))).toMatchObject({
    width: 640,
    height: 360,
  });
});

test.each([
  ['is cut off', SPS.slice(0, 6)],
  ['is empty', []],
  ['is nonsense', Array.from({ length: 30 }, () => 0)],
])('a parameter set that %s is not used', (_, sps) => {
  expect(pictureFormat(CODEC_H264, Uint8Array.from(sps))).toBeUndefined();
  expect(pictureFormat(CODEC_H265, Uint8Array.from(sps))).toBeUndefined();
});

test('splits a unit at start codes of three and four bytes, without zeros at the end', () => {
  expect(splitUnits(Uint8Array.from(KEY)).map((nal) => [nal[0], nal.length])).toEqual([
    [0x09, 2],
    [0x67, 24],
    [0x68, 5],
    [0x65, 3],
  ]);
  expect(splitUnits(Uint8Array.of(1, 1, 1))).toEqual([]);
  expect(splitUnits(new Uint8Array())).toEqual([]);
});

test('a key frame without all its parameter sets starts nothing', () => {
  const nals = splitUnits(Uint8Array.from(KEY));
  expect(initSegment(CODEC_H264, nals)).toBeDefined();
  expect(
    initSegment(
      CODEC_H264,
      nals.filter((nal) => nal[0] !== 0x68),
    ),
  ).toBeUndefined();
  expect(
    initSegment(
      CODEC_H264,
      nals.filter((nal) => nal[0] !== 0x67),
    ),
  ).toBeUndefined();
});

test('the initialization segment has the profile and the parameter sets, and no length', () => {
  const init = Buffer.from(initSegment(CODEC_H264, splitUnits(Uint8Array.from(KEY))) ?? []);
  const avcc = init.subarray(init.indexOf('avcC') + 4);
  expect([...avcc.subarray(0, 8)]).toEqual([1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 24]);
  expect([...avcc.subarray(8, 32)]).toEqual([...SPS, ...REST]);
  const mvhd = init.subarray(init.indexOf('mvhd') + 4);
  expect(mvhd.readUInt32BE(12), 'the timescale').toBe(1_000_000);
  expect(mvhd.readUInt32BE(16), 'the length').toBe(0);
});

test('a fragment has the times of its unit and its units with their lengths', () => {
  const times = { decodeTime: 2 ** 33 + 5, presentationTime: 2 ** 33 - 5, duration: 40_000 };
  const bytes = Buffer.from(fragment(7, times, false, [Uint8Array.of(0x41, 1, 2), Uint8Array.of(0x41, 3)]));
  const at = (name: string): number => bytes.indexOf(name) + 4;
  expect(bytes.readUInt32BE(at('mfhd') + 4)).toBe(7);
  expect(bytes.readBigUInt64BE(at('tfdt') + 4)).toBe(2n ** 33n + 5n);
  const trun = at('trun');
  const data = bytes.readUInt32BE(trun + 8);
  expect([...bytes.subarray(data)]).toEqual([0, 0, 0, 3, 0x41, 1, 2, 0, 0, 0, 2, 0x41, 3]);
  expect(bytes.readUInt32BE(trun + 12), 'duration').toBe(40_000);
  expect(bytes.readUInt32BE(trun + 16), 'size').toBe(13);
  expect(bytes.readUInt32BE(trun + 20), 'no key frame').toBe(0x01010000);
  expect(bytes.readInt32BE(trun + 24), 'composition offset').toBe(-10);
});
