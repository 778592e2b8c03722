import { expect, test } from 'vitest';
import { chooseCodec, nextWish, wishOf } from './codec-choice.ts';

test('a thin network gets MPEG-1, any other JPEG', () => {
  expect(chooseCodec('auto', {})).toBe('jpeg');
  expect(chooseCodec('auto', { downlink: 10, saveData: false })).toBe('jpeg');
  expect(chooseCodec('auto', { downlink: 1.5 })).toBe('mpeg1');
  expect(chooseCodec('auto', { downlink: 10, saveData: true })).toBe('mpeg1');
});

test("a person's word goes before the network's", () => {
  expect(chooseCodec('jpeg', { downlink: 0.1 })).toBe('jpeg');
  expect(chooseCodec('mpeg1', { downlink: 100 })).toBe('mpeg1');
  expect(wishOf('mpeg1')).toBe('mpeg1');
  expect(wishOf('h265')).toBe('auto');
  expect(wishOf(null)).toBe('auto');
});

test('a click takes the other codec, the next one gives the choice back', () => {
  expect(nextWish('auto', 'jpeg')).toBe('mpeg1');
  expect(nextWish('auto', 'mpeg1')).toBe('jpeg');
  expect(nextWish('mpeg1', 'mpeg1')).toBe('auto');
});
