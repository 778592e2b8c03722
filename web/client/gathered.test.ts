import { expect, test } from 'vitest';
import { gathered } from './gathered.ts';

test('what is asked for many times in a turn is done once, and again in the next', async () => {
  let done = 0;
  const ask = gathered(() => (done += 1));
  ask();
  ask();
  expect(done).toBe(0);
  await Promise.resolve();
  expect(done).toBe(1);
  ask();
  await Promise.resolve();
  expect(done).toBe(2);
});

test('it is done when its schedule says, and may ask for itself meanwhile', () => {
  const due: (() => void)[] = [];
  let done = 0;
  const ask = gathered(
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
