// Formats values of samples.

/** Formats a value with at most six significant digits, and its unit. */
export function formatValue(value: number, unit: string | undefined): string {
  const size = Math.abs(value);
  const short =
    size !== 0 && (size >= 1e7 || size < 1e-4)
      ? value.toExponential(3)
      : String(Number(value.toPrecision(6)));
  return unit === undefined ? short : `${short} ${unit}`;
}
