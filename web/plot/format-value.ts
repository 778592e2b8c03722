// A sample's value in words.

/** A value as it is read at a glance: six significant digits, no more. */
export function formatValue(value: number, unit: string | undefined): string {
  const size = Math.abs(value);
  const short =
    size !== 0 && (size >= 1e7 || size < 1e-4)
      ? value.toExponential(3)
      : String(Number(value.toPrecision(6)));
  return unit === undefined ? short : `${short} ${unit}`;
}
