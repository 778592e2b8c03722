// Formats times of day to the millisecond, and clock offsets.
const FORMAT = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  hourCycle: 'h23',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});

/** Formats a time of day; `time` is in ms since the Unix epoch. */
export const clockTime = (time: number): string => FORMAT.format(time);

/** Describes a clock offset in ms. A source that sends late looks like one with a slow clock. */
export function clockText(offset: number): string {
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
