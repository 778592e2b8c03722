// The labels of a time axis: the time, as precise as the tick spacing requires, and the date at each new day.
const DAY = 86_400_000;
const MINUTE = 60_000;

/** The distances between ticks in ms. uPlot requires years of 365 and months of 30 days. uPlot's own end at 100 years. */
export const TIME_INCREMENTS: readonly number[] = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 5, 10, 15, 30].map((seconds) => seconds * 1000),
  ...[1, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 4, 6, 8, 12].map((hours) => hours * 60 * MINUTE),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15].map((days) => days * DAY),
  ...[1, 2, 3, 4, 6].map((months) => months * 30 * DAY),
  ...[1, 10, 100, 1000, 10_000, 100_000].flatMap((years) => [1, 2, 5].map((n) => n * years * 365 * DAY)),
];

const TIME = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
const MINUTES = new Intl.DateTimeFormat(undefined, TIME);
const SECONDS = new Intl.DateTimeFormat(undefined, { ...TIME, second: '2-digit' });
const MILLISECONDS = new Intl.DateTimeFormat(undefined, {
  ...TIME,
  second: '2-digit',
  fractionalSecondDigits: 3,
});
const DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const LONG_DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });

/** For each label format: its width in px, and the tick spacing in ms at or below which a finer format is needed. */
const WIDTHS = [
  [100, DAY],
  [50, 30_000],
  [84, 500],
] as const;
const MAX_WIDTH = 112;

/** Returns the label width in px for an axis of `span` ms on `available` px. More ticks need longer labels. */
export function timeLabelWidth(span: number, available: number): number {
  const fits = WIDTHS.find(([width, limit]) => (span * width) / available > limit);
  return fits?.[0] ?? MAX_WIDTH;
}

/** Returns the labels of ticks at `times`, in ms since the epoch, `spacing` ms apart. */
export function timeLabels(times: readonly number[], spacing: number): string[] {
  if (spacing >= DAY) return times.map((time) => LONG_DATE.format(time));
  const clock = spacing >= MINUTE ? MINUTES : spacing >= 1000 ? SECONDS : MILLISECONDS;
  let previousDay = '';
  return times.map((time) => {
    const day = DATE.format(time);
    const label = day === previousDay ? clock.format(time) : `${clock.format(time)}\n${day}`;
    previousDay = day;
    return label;
  });
}
