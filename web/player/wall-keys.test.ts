import { expect, test } from 'vitest';
import { focusOf, nextCamera, wallKey } from './wall-keys.ts';

const press = (key: string, more = {}): Parameters<typeof wallKey>[0] => ({
  key,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  ...more,
});

test('the documented keys are handled, and the browser handles all others', () => {
  expect(wallKey(press('ArrowLeft'), false, 'tile')).toBe('left');
  expect(wallKey(press(' '), false, 'tile')).toBe('freeze');
  expect(wallKey(press('f'), false, 'tile')).toBe('fullscreen');
  expect(wallKey(press('m'), false, 'tile')).toBe('sound');
  expect(wallKey(press('M'), true, 'button')).toBe('sound');
  expect(wallKey(press('Escape'), true, 'tile')).toBe('close');
  expect(wallKey(press('Escape'), false, 'tile')).toBeUndefined();
  expect(wallKey(press('f', { ctrlKey: true }), false, 'tile')).toBeUndefined();
  expect(wallKey(press(' '), false, 'button')).toBeUndefined();
  expect(wallKey(press('Enter'), false, 'tile')).toBeUndefined();
  expect(wallKey(press('toString'), false, 'tile')).toBeUndefined();
});

test('on a slider, the keys that move it are left to the browser', () => {
  for (const key of ['ArrowLeft', 'ArrowUp', 'Home', 'End', 'PageUp', ' '])
    expect(wallKey(press(key), false, 'slider'), key).toBeUndefined();
  expect(wallKey(press('m'), false, 'slider')).toBe('sound');
  expect(wallKey(press('Escape'), true, 'slider')).toBe('close');
});

test('the button that opens a camera counts as its tile', () => {
  const element = (selector: string): Pick<Element, 'matches'> => ({
    matches: (wanted) => wanted === selector,
  });
  expect(focusOf(null)).toBe('tile');
  expect(focusOf(element('div'))).toBe('tile');
  expect(focusOf(element('button:not(.open)'))).toBe('button');
  expect(focusOf(element('input'))).toBe('slider');
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
