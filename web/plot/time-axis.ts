// What stands below a time axis: hours and minutes, as fine as the ticks are apart, and the day where it is a new one.
const DAY = 86_400_000;
const MINUTE = 60_000;

const TIME = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
const MINUTES = new Intl.DateTimeFormat(undefined, TIME);
const SECONDS = new Intl.DateTimeFormat(undefined, { ...TIME, second: '2-digit' });
const PARTS = new Intl.DateTimeFormat(undefined, { ...TIME, second: '2-digit', fractionalSecondDigits: 3 });
const DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const LONG_DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });

/** Of clocks of each kind: their width in px, and the coarsest ticks, in ms, that need one finer than that. */
const WIDTHS = [
  [50, 30_000],
  [84, 500],
] as const;
const WIDEST = 112;

/** How wide in px the words of ticks are on an axis that shows `span` ms on `room` px: more ticks mean finer words. */
export function timeLabelWidth(span: number, room: number): number {
  const fits = WIDTHS.find(([width, finer]) => (span * width) / room > finer);
  return fits?.[0] ?? WIDEST;
}

/** The words of ticks at `times`, in ms since the epoch, which are `apart` from each other. */
export function timeLabels(times: readonly number[], apart: number): string[] {
  if (apart >= DAY) return times.map((time) => LONG_DATE.format(time));
  const clock = apart >= MINUTE ? MINUTES : apart >= 1000 ? SECONDS : PARTS;
  let before = '';
  return times.map((time) => {
    const day = DATE.format(time);
    const label = day === before ? clock.format(time) : `${clock.format(time)}\n${day}`;
    before = day;
    return label;
  });
}
