import { describe, expect, test } from 'vitest';
import { CODEC_AAC, decodeFrame, decodeSound } from './frame.ts';
import { frameMessage } from './testing.ts';

describe('decodeFrame', () => {
  test('reads every field', () => {
    const message = frameMessage({
      camera: 'büro/tür',
      codec: 1,
      flags: 3,
      group: 0xfffffffe,
      sequence: 0x80000001,
      captureTime: 1_700_000_000_123_456,
      receiptTime: 1_700_000_000_223_457,
      payload: [0xff, 0xd8, 1, 2, 3],
    });
    expect(decodeFrame(message)).toEqual({
      camera: 'büro/tür',
      codec: 1,
      key: true,
      discontinuity: true,
      group: 0xfffffffe,
      sequence: 0x80000001,
      captureTime: 1_700_000_000_123_456,
      receiptTime: 1_700_000_000_223_457,
      payload: new Uint8Array([0xff, 0xd8, 1, 2, 3]),
    });
  });

  test('reads each flag', () => {
    expect(decodeFrame(frameMessage({ flags: 1 }))).toMatchObject({ key: true, discontinuity: false });
    expect(decodeFrame(frameMessage({ flags: 2 }))).toMatchObject({ key: false, discontinuity: true });
    expect(decodeFrame(frameMessage({ flags: 0 }))).toMatchObject({ key: false, discontinuity: false });
  });

  test('an unknown capture time is 0', () => {
    expect(decodeFrame(frameMessage({ captureTime: 0 }))?.captureTime).toBe(0);
  });

  test('the payload is a view, not a copy', () => {
    const message = frameMessage({});
    expect(decodeFrame(message)?.payload.buffer).toBe(message);
  });

  test('accepts the longest id', () => {
    const camera = 'c'.repeat(255);
    expect(decodeFrame(frameMessage({ camera }))?.camera).toBe(camera);
  });

  test('rejects other versions and kinds', () => {
    expect(decodeFrame(frameMessage({ version: 1 }))).toBeUndefined();
    for (const kind of [0, 2, 3, 4, 255]) expect(decodeFrame(frameMessage({ kind }))).toBeUndefined();
  });

  test('rejects an id that is empty, not UTF-8, or longer than the message', () => {
    expect(decodeFrame(frameMessage({ camera: '' }))).toBeUndefined();
    const broken = frameMessage({ camera: 'ab' });
    new Uint8Array(broken)[29] = 0xff;
    expect(decodeFrame(broken)).toBeUndefined();
    const long = frameMessage({ camera: 'ab', payload: [1] });
    new Uint8Array(long)[28] = 200;
    expect(decodeFrame(long)).toBeUndefined();
  });

  test('rejects every truncated message without throwing', () => {
    const message = frameMessage({ camera: 'door', payload: [1] });
    for (let length = 0; length < message.byteLength; length++) {
      expect(decodeFrame(message.slice(0, length)), `${length} bytes`).toBeUndefined();
    }
    expect(decodeFrame(message)).toBeDefined();
  });

  test('random bytes never throw', () => {
    let seed = 42;
    const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
    for (let round = 0; round < 20_000; round++) {
      const bytes = Uint8Array.from({ length: Math.floor(random() * 64) }, () => Math.floor(random() * 256));
      // Half of the messages start with a valid version and kind, so that more than the first check is tested.
      if (round % 2 === 0) bytes.set([2, 1].slice(0, bytes.length));
      const frame = decodeFrame(bytes.buffer);
      if (frame) expect(frame.payload.length).toBeGreaterThan(0);
    }
  });
});

describe('decodeSound', () => {
  test('reads every field', () => {
    const message = frameMessage({
      kind: 4,
      camera: 'büro/tür',
      codec: CODEC_AAC,
      flags: 2,
      group: 0,
      sequence: 0x80000001,
      captureTime: 1_700_000_000_123_456,
      receiptTime: 1_700_000_000_223_457,
      payload: [0x21, 0x10],
    });
    expect(decodeSound(message)).toEqual({
      camera: 'büro/tür',
      codec: CODEC_AAC,
      discontinuity: true,
      sequence: 0x80000001,
      captureTime: 1_700_000_000_123_456,
      receiptTime: 1_700_000_000_223_457,
      payload: new Uint8Array([0x21, 0x10]),
    });
    expect(decodeSound(message)?.payload.buffer).toBe(message);
    expect(decodeFrame(message)).toBeUndefined();
  });

  test('rejects other versions and kinds', () => {
    expect(decodeSound(frameMessage({ kind: 4, version: 1 }))).toBeUndefined();
    for (const kind of [0, 1, 2, 3, 5, 255]) expect(decodeSound(frameMessage({ kind }))).toBeUndefined();
  });

  test('rejects every truncated message without throwing', () => {
    const message = frameMessage({ kind: 4, camera: 'door', payload: [1] });
    for (let length = 0; length < message.byteLength; length++) {
      expect(decodeSound(message.slice(0, length)), `${length} bytes`).toBeUndefined();
    }
    expect(decodeSound(message)).toBeDefined();
  });
});
