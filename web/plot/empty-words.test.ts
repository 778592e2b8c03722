import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { emptyWords } from './empty-words.ts';

/** What a shell sends for the example. */
const sent = (example: string): string =>
  execFileSync('sh', ['-c', example.replace(/ \| nc .*/, '')], { encoding: 'utf8' });

test('a plot of all series names one as an example', () => {
  expect(emptyWords([], 'hub.lan')).toEqual({
    text: 'No samples yet. Send some:',
    example: "printf 'temp\\n%s000 21.5\\n' $(date +%s) | nc -N hub.lan 9876",
  });
});

test('a plot of named series says which it waits for, and how to send such a one', () => {
  const { text, example } = emptyWords(['boiler out', 'load'], '[::1]');
  expect(text).toBe('No samples of boiler out, load yet. Send some:');
  expect(example).toContain("'boiler out\\n");
  expect(example).toContain('nc -N ::1 9876');
});

test.each(['temp', 'CPU load', "robin's", '100 % \\n of $HOME', 'a"b`c'])(
  'a shell sends the name %j as it is',
  (name) => {
    expect(sent(emptyWords([name], 'hub').example)).toMatch(/\n\d+000 21\.5\n$/);
    expect(sent(emptyWords([name], 'hub').example).split('\n')[0]).toBe(name);
  },
);
