// Converts the decoder's planes to RGBA with the colours of MPEG-1: ITU-R BT.601, luma from 16 to 235. The player's own
// conversion takes luma from 0 to 255, so that black is dark grey and white is light grey.

/** Luma with a row of whole macroblocks, then red and blue differences with half of that. */
export type Planes = readonly [y: Uint8ClampedArray, cr: Uint8ClampedArray, cb: Uint8ClampedArray];

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The matrix times 256. */
const LUMA = 298;
const RED_CR = 409;
const GREEN_CR = -208;
const GREEN_CB = -100;
const BLUE_CB = 516;
const ROUNDING = 128;
const BLACK = 16;
const GREY = 128;

export function toRgba([y, cr, cb]: Planes, { width, height }: Size, rgba: Uint8ClampedArray): void {
  const stride = (width + 15) & ~15;
  const pairs = (width + 1) >> 1;
  for (let row = 0; row < height; row++) {
    let luma = row * stride;
    let chroma = (row >> 1) * (stride >> 1);
    let at = row * width * 4;
    // Of an odd width, the last pair writes into the next row, which follows, or behind the array, which has no effect.
    for (let pair = 0; pair < pairs; pair++) {
      const red = (cr[chroma] ?? 0) - GREY;
      const blue = (cb[chroma] ?? 0) - GREY;
      chroma += 1;
      const r = RED_CR * red + ROUNDING;
      const g = GREEN_CR * red + GREEN_CB * blue + ROUNDING;
      const b = BLUE_CB * blue + ROUNDING;
      for (let pixel = 0; pixel < 2; pixel++) {
        const light = ((y[luma] ?? 0) - BLACK) * LUMA;
        luma += 1;
        rgba[at] = (light + r) >> 8;
        rgba[at + 1] = (light + g) >> 8;
        rgba[at + 2] = (light + b) >> 8;
        rgba[at + 3] = 255;
        at += 4;
      }
    }
  }
}
