// Property tests of `decodeFrame` with random messages: one second in the tests, longer in `make fuzz`.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CODEC_JPEG, KIND_FRAME, decodeFrame } from './frame';

const seconds = Number(process.env.FUZZ_SECONDS ?? 1);
const runOptions = { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: seconds * 500 };
const testTimeout = seconds * 1000 + 10_000;

/** Random messages with a valid version and kind. */
const withValidHeader = fc
  .tuple(
    fc.uint8Array({ minLength: 40, maxLength: 400 }),
    fc.integer({ min: 0, max: 255 }),
    fc.string({ maxLength: 8, unit: 'binary' }),
  )
  .map(([bytes, length, name]) => {
    const message = new Uint8Array(bytes);
    const id = new TextEncoder().encode(name).slice(0, 8);
    message.set([2, KIND_FRAME]);
    // The id is random bytes or any text, including byte-order marks.
    message[28] = id.length || length;
    message.set(id, 29);
    return message;
  });

/** The same, with an id that starts with a byte-order mark. */
const withByteOrderMark = withValidHeader.map((message) => {
  message[28] = 4;
  message.set([0xef, 0xbb, 0xbf, 0x61], 29);
  return message;
});

test(
  'random messages are decoded to undefined or to their own bytes, without exceptions',
  () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 400 }), withValidHeader, withByteOrderMark),
        (bytes) => {
          const message = new Uint8Array(bytes);
          const frame = decodeFrame(message.buffer);
          if (frame === undefined) return;
          const id = message[28] ?? 0;
          expect(id).toBeGreaterThan(0);
          expect(frame.payload.byteOffset).toBe(29 + id);
          expect(frame.payload.length).toBe(message.length - 29 - id);
          expect(frame.payload.length).toBeGreaterThan(0);
          expect(new TextEncoder().encode(frame.camera).length).toBe(id);
        },
      ),
      runOptions,
    );
  },
  testTimeout,
);

test(
  'a valid message is decoded to the fields it was built from',
  () => {
    const uint32 = fc.integer({ min: 0, max: 0xffffffff });
    const time = fc.maxSafeNat();
    const id = fc
      .string({ minLength: 1, maxLength: 60, unit: 'grapheme' })
      .filter((text) => new TextEncoder().encode(text).length <= 255);
    fc.assert(
      fc.property(
        id,
        uint32,
        uint32,
        time,
        time,
        fc.boolean(),
        fc.boolean(),
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        (camera, group, sequence, captureTime, receiptTime, key, discontinuity, payload) => {
          const name = new TextEncoder().encode(camera);
          const message = new Uint8Array(29 + name.length + payload.length);
          const view = new DataView(message.buffer);
          message.set([2, KIND_FRAME, CODEC_JPEG, Number(key) + 2 * Number(discontinuity)]);
          view.setUint32(4, group);
          view.setUint32(8, sequence);
          view.setBigUint64(12, BigInt(captureTime));
          view.setBigUint64(20, BigInt(receiptTime));
          message[28] = name.length;
          message.set(name, 29);
          message.set(payload, 29 + name.length);
          const frame = decodeFrame(message.buffer);
          expect(frame).toEqual({
            camera,
            codec: CODEC_JPEG,
            key,
            discontinuity,
            group,
            sequence,
            captureTime,
            receiptTime,
            payload: expect.anything() as Uint8Array,
          });
          expect([...(frame?.payload ?? [])]).toEqual([...payload]);
        },
      ),
      runOptions,
    );
  },
  testTimeout,
);
