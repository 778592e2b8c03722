// A moment as one reads it off a clock, to the millisecond.
const FORMAT = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});

/** `time` in ms since the Unix epoch. */
export const clockTime = (time: number): string => FORMAT.format(time);
