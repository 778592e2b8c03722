import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { emptyText } from './empty-text.ts';

/** Returns the bytes that the example sends when run in a shell. */
const outputOf = (example: string): string =>
  execFileSync('sh', ['-c', example.replace(/ \| nc .*/, '')], { encoding: 'utf8' });

test('a plot of all series uses an example name', () => {
  expect(emptyText([], 'hub.lan')).toEqual({
    text: 'No samples yet. To send one, run:',
    example: "printf 'temp\\n%s000 21.5\\n' $(date +%s) | nc -N hub.lan 9876",
  });
});

test('a plot of named series shows their names and how to send a sample of the first', () => {
  const { text, example } = emptyText(['boiler out', 'load'], '[::1]');
  expect(text).toBe('No samples of boiler out, load yet. To send one, run:');
  expect(example).toContain("'boiler out\\n");
  expect(example).toContain('nc -N ::1 9876');
});

test.each(['temp', 'CPU load', "robin's", '100 % \\n of $HOME', 'a"b`c'])(
  'the example sends the name %j unchanged',
  (name) => {
    expect(outputOf(emptyText([name], 'hub').example)).toMatch(/\n\d+000 21\.5\n$/);
    expect(outputOf(emptyText([name], 'hub').example).split('\n')[0]).toBe(name);
  },
);
