// The remarks on series in the legend.
import { clockText, timeOn } from './clock-time.ts';
import { MAX_SAMPLES } from './samples.ts';
import type { PlotSeries } from './series-set.ts';

export type Marked = Pick<PlotSeries, 'stoppedSince' | 'clockOffset' | 'missed' | 'samples' | 'timed'>;

/** A remark on a series, shown while its text is not empty. */
export interface Mark {
  readonly kind: string;
  readonly title: string;
  text(series: Marked, now: number): string;
}

export const MARKS: readonly Mark[] = [
  {
    kind: 'stopped',
    title: 'The hub has received no sample for several of the series’ usual intervals',
    text: ({ stoppedSince }, now) =>
      stoppedSince === undefined ? '' : `stopped since ${timeOn(stoppedSince, now)}`,
  },
  {
    kind: 'clock',
    title: 'The difference between the newest sample’s time and the hub’s clock when it arrived',
    text: ({ clockOffset }) => (clockOffset === undefined ? '' : clockText(clockOffset)),
  },
  {
    kind: 'missed',
    title: 'Samples that the hub discarded before this page received them',
    text: ({ missed }) => (missed === 0 ? '' : `${missed} missed`),
  },
  {
    kind: 'thinned',
    title: `This page holds up to ${MAX_SAMPLES.toLocaleString('en')} samples of a series. Of older ones it keeps the lowest and the highest of each few.`,
    text: ({ samples, timed }, now) => {
      if (samples.thinned === 0) return '';
      return timed ? `thinned before ${timeOn(samples.x(samples.thinned), now)}` : 'thinned';
    },
  },
];
