import { expect, test } from 'vitest';
import { toRgba } from './yuv.ts';

/** A picture of one colour. */
function convert(y: number, cb: number, cr: number, width = 16, height = 16): Uint8ClampedArray {
  const stride = (width + 15) & ~15;
  const luma = new Uint8ClampedArray(stride * ((height + 15) & ~15)).fill(y);
  const chroma = (value: number): Uint8ClampedArray => new Uint8ClampedArray(luma.length / 4).fill(value);
  const rgba = new Uint8ClampedArray(width * height * 4);
  toRgba([luma, chroma(cr), chroma(cb)], { width, height }, rgba);
  return rgba;
}

// The colour bars of ITU-R BT.601 in YCbCr, and in RGB.
test.each([
  ['black', [16, 128, 128], [0, 0, 0]],
  ['white', [235, 128, 128], [255, 255, 255]],
  ['red', [81, 90, 240], [255, 0, 0]],
  ['green', [145, 54, 34], [0, 255, 0]],
  ['blue', [41, 240, 110], [0, 0, 255]],
  ['yellow', [210, 16, 146], [255, 255, 0]],
  ['grey', [126, 128, 128], [128, 128, 128]],
])('%s', (_, [y = 0, cb = 0, cr = 0], expected) => {
  const [r = 0, g = 0, b = 0, a] = convert(y, cb, cr);
  for (const [index, value] of [r, g, b].entries())
    expect(Math.abs(value - (expected[index] ?? 0)), `${r}, ${g}, ${b}`).toBeLessThanOrEqual(2);
  expect(a).toBe(255);
});

test('all pixels of an odd size are written', () => {
  const rgba = convert(235, 128, 128, 5, 3);
  expect(rgba).toHaveLength(60);
  expect([...rgba].every((value) => value === 255)).toBe(true);
});
