// The labels of a time axis: the time, as precise as the distance of the ticks requires, and the date at each new day.
const DAY = 86_400_000;
const MINUTE = 60_000;

const TIME = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
const MINUTES = new Intl.DateTimeFormat(undefined, TIME);
const SECONDS = new Intl.DateTimeFormat(undefined, { ...TIME, second: '2-digit' });
const PARTS = new Intl.DateTimeFormat(undefined, { ...TIME, second: '2-digit', fractionalSecondDigits: 3 });
const DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const LONG_DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });

/** For each label format: its width in px, and the tick distance in ms at or below which a finer format is needed. */
const WIDTHS = [
  [50, 30_000],
  [84, 500],
] as const;
const WIDEST = 112;

/** Returns the label width in px for an axis of `span` ms on `room` px. More ticks need longer labels. */
export function timeLabelWidth(span: number, room: number): number {
  const fits = WIDTHS.find(([width, finer]) => (span * width) / room > finer);
  return fits?.[0] ?? WIDEST;
}

/** Returns the labels of ticks at `times`, in ms since the epoch, with a distance of `apart` ms. */
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
