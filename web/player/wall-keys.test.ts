import { expect, test } from 'vitest';
import { nextCamera, wallKey } from './wall-keys.ts';

const press = (key: string, more = {}): Parameters<typeof wallKey>[0] => ({
  key,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  ...more,
});

test('the documented keys are handled, and the browser handles all others', () => {
  expect(wallKey(press('ArrowLeft'), false, false)).toBe('left');
  expect(wallKey(press(' '), false, false)).toBe('freeze');
  expect(wallKey(press('f'), false, false)).toBe('fullscreen');
  expect(wallKey(press('Escape'), true, false)).toBe('close');
  expect(wallKey(press('Escape'), false, false)).toBeUndefined();
  expect(wallKey(press('f', { ctrlKey: true }), false, false)).toBeUndefined();
  expect(wallKey(press(' '), false, true)).toBeUndefined();
  expect(wallKey(press('Enter'), false, false)).toBeUndefined();
  expect(wallKey(press('toString'), false, false)).toBeUndefined();
});

test('arrow keys move in the grid and stop at its edges', () => {
  const ids = ['a', 'b', 'c', 'd', 'e'];
  expect(nextCamera(ids, undefined, 'right', 2, false)).toBe('a');
  expect(nextCamera(ids, 'a', 'right', 2, false)).toBe('b');
  expect(nextCamera(ids, 'a', 'down', 2, false)).toBe('c');
  expect(nextCamera(ids, 'a', 'up', 2, false)).toBe('a');
  expect(nextCamera(ids, 'd', 'down', 2, false)).toBe('d');
  expect(nextCamera(ids, 'b', 'last', 2, false)).toBe('e');
  expect(nextCamera([], undefined, 'right', 2, false)).toBeUndefined();
});

test('with one camera shown, next and previous wrap around', () => {
  const ids = ['a', 'b', 'c'];
  expect(nextCamera(ids, 'c', 'right', 2, true)).toBe('a');
  expect(nextCamera(ids, 'a', 'left', 2, true)).toBe('c');
});
