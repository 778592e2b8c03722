// Formats times and clock offsets.
import { MAX_TIME } from './window.ts';

const FORMAT = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  hourCycle: 'h23',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});

const SECONDS = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  hourCycle: 'h23',
  minute: '2-digit',
  second: '2-digit',
});
const DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });

/** Formats a time of day to the millisecond; `time` is in ms since the Unix epoch. */
export const clockTime = (time: number): string => FORMAT.format(time);

/** Formats a time to the second, with its date unless it is on the day of `now`. */
export function timeOn(time: number, now: number): string {
  if (Math.abs(time) > MAX_TIME) return '–';
  const date = DATE.format(time);
  return date === DATE.format(now) ? SECONDS.format(time) : `${date}, ${SECONDS.format(time)}`;
}

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
