import { expect, test } from 'vitest';
import { sentence } from './sentence.ts';

test.each([
  ['no answer from 10.0.0.7:554', 'No answer from 10.0.0.7:554.'],
  ['401: wrong user or password', '401: wrong user or password.'],
  ['app "yard" already exists', 'App “yard” already exists.'],
  ['is this the address of the stream itself?', 'Is this the address of the stream itself?'],
  ['run `ocelli admin link`', 'Run ocelli admin link.'],
  ['', ''],
])('the message %j becomes the sentence %j', (message, expected) => {
  expect(sentence(message)).toBe(expected);
});
