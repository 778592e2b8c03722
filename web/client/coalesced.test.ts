import { expect, test } from 'vitest';
import { coalesced } from './coalesced.ts';

test('several calls in one turn run the work once, and the next turn runs it again', async () => {
  let runs = 0;
  const request = coalesced(() => (runs += 1));
  request();
  request();
  expect(runs).toBe(0);
  await Promise.resolve();
  expect(runs).toBe(1);
  request();
  await Promise.resolve();
  expect(runs).toBe(2);
});

test('a custom schedule runs the work, which may request itself again', () => {
  const due: (() => void)[] = [];
  let runs = 0;
  const request = coalesced(
    () => {
      runs += 1;
      request();
    },
    (work) => due.push(work),
  );
  request();
  request();
  expect(due).toHaveLength(1);
  due.shift()?.();
  expect([runs, due.length]).toEqual([1, 1]);
});
