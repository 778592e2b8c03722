// The ticks and labels of axes of numbers, of any finite magnitude. uPlot's own end at 17 digits.

/** Numbers from here on are labelled in scientific notation, as in the legend. */
const LARGE = 1e7;
const SMALL = 1e-4;
/** The least number of digits at which doubles no longer differ. */
const MAX_DIGITS = 17;

export interface Ticks {
  readonly values: readonly number[];
  readonly labels: readonly string[];
}

/** Returns at most about `count` round values from `min` to `max`, with labels. */
export function linearTicks(min: number, max: number, count: number): Ticks {
  const step = niceStep(min, max, Math.max(1, count));
  const values: number[] = [];
  const first = Math.ceil(min / step);
  for (let index = 0; index <= count + 1; index++) {
    const value = (first + index) * step;
    if (value > max) break;
    // Close to the limits of precision, several multiples may be the same number.
    if (value >= min && value !== values.at(-1)) values.push(value === 0 ? 0 : value);
  }
  return {
    values,
    labels: values.map((value) => label(value, step, Math.max(Math.abs(min), Math.abs(max)))),
  };
}

/** Returns at most about `count` powers of ten from `min` to `max`, or their multiples if few fit. */
export function logTicks(min: number, max: number, count: number): Ticks {
  const [low, high] = [Math.ceil(Math.log10(min) - 1e-9), Math.floor(Math.log10(max) + 1e-9)];
  const stride = Math.max(1, niceStep(low, high, Math.max(1, count)));
  const multiples = (high - low + 1) * 3 <= count ? [1, 2, 5] : [1];
  const values: number[] = [];
  for (let exponent = Math.ceil(low / stride) * stride; exponent <= high; exponent += stride)
    for (const multiple of multiples) {
      // A parsed number is exact; a computed power may not be.
      const value = Number(`${multiple}e${exponent}`);
      if (value > 0 && value <= max) values.push(value);
    }
  if (values.length === 0) values.push(max);
  return { values, labels: values.map((value) => label(value, value, value)) };
}

/** Returns 1, 2 or 5 times a power of ten, the first that gives at most `count` steps. */
function niceStep(min: number, max: number, count: number): number {
  // Divided first, because the difference of two large numbers may not be finite.
  const rough = Math.max(max / count - min / count, Number.MIN_VALUE);
  const exponent = Math.floor(Math.log10(rough));
  for (const step of [`1e${exponent}`, `2e${exponent}`, `5e${exponent}`, `1e${exponent + 1}`].map(Number))
    if (step >= rough && Number.isFinite(step)) return step;
  return rough;
}

function label(value: number, step: number, greatest: number): string {
  if (value === 0) return '0';
  const precision = Math.floor(Math.log10(step) + 1e-9);
  if (greatest < LARGE && (greatest >= SMALL * 10 || step >= SMALL))
    return value.toFixed(Math.min(MAX_DIGITS, Math.max(0, -precision)));
  const digits = Math.floor(Math.log10(Math.abs(value)) + 1e-9) - precision;
  return value.toExponential(Math.min(MAX_DIGITS - 1, Math.max(0, digits)));
}
