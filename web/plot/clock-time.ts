// A moment as one reads it off a clock, to the millisecond.
const FORMAT = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});

/** `time` in ms since the Unix epoch. */
export const clockTime = (time: number): string => FORMAT.format(time);

/** How far a clock is off, in words. Whoever sends late looks like one whose clock is behind. */
export function clockWords(offset: number): string {
  const size = Math.abs(offset) / 1000;
  const amount =
    size < 120
      ? `${size.toFixed(size < 10 ? 1 : 0)} s`
      : size < 7200
        ? `${Math.round(size / 60)} min`
        : size < 172_800
          ? `${Math.round(size / 3600)} h`
          : `${Math.round(size / 86_400)} days`;
  return `clock ${amount} ${offset < 0 ? 'behind' : 'ahead'}`;
}
