import { expect, test } from 'vitest';
import { coalesced } from './coalesced.ts';

test('several calls in one turn run the work once, and the next turn runs it again', async () => {
  let done = 0;
  const ask = coalesced(() => (done += 1));
  ask();
  ask();
  expect(done).toBe(0);
  await Promise.resolve();
  expect(done).toBe(1);
  ask();
  await Promise.resolve();
  expect(done).toBe(2);
});

test('a custom schedule runs the work, which may request itself again', () => {
  const due: (() => void)[] = [];
  let done = 0;
  const ask = coalesced(
    () => {
      done += 1;
      ask();
    },
    (work) => due.push(work),
  );
  ask();
  ask();
  expect(due).toHaveLength(1);
  due.shift()?.();
  expect([done, due.length]).toEqual([1, 1]);
});
