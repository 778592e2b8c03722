// What is said of series and of those who write them.
import type { Series, SeriesSource, SeriesStatus } from './shapes.ts';
import { clockWords } from '../plot/clock-time.ts';
import { formatValue } from '../plot/format-value.ts';
import { ago, moment } from './wording.ts';

/** A clock that is off by less is not spoken of: sources that write whole seconds look so. */
const CLOCK_IS_RIGHT = 2000;

const counted = (count: number, one: string, many: string): string =>
  count === 1 ? `1 ${one}` : `${count.toLocaleString('en')} ${many}`;

/** Lines that were no samples, and the last of them; nothing if there were none. */
export function malformedWords({
  malformed,
  lastMalformed,
}: Pick<Series, 'malformed' | 'lastMalformed'>): string {
  if (malformed === 0) return '';
  const said = lastMalformed === null ? '' : `, the last: “${lastMalformed}”`;
  return `${counted(malformed, 'line was', 'lines were')} left out${said}`;
}

export function seriesWords(series: Series, now: number): string {
  const { points, newest, unit, lastAt, clockOffsetMs, sources } = series;
  const parts = [counted(points, 'point', 'points')];
  if (newest !== null) parts.push(`newest ${formatValue(newest[1], unit ?? undefined)}`);
  if (lastAt !== null) parts.push(ago(lastAt, now));
  if (sources > 0) parts.push(counted(sources, 'source', 'sources'));
  if (clockOffsetMs !== null && Math.abs(clockOffsetMs) >= CLOCK_IS_RIGHT)
    parts.push(clockWords(clockOffsetMs));
  return parts.join(' · ');
}

export function sourceWords({ points, since, ended, endedAt }: SeriesSource): string {
  const parts = [counted(points, 'point', 'points'), `since ${moment(since)}`];
  if (endedAt !== null) parts.push(`ended ${moment(endedAt)}: ${ended ?? ''}`);
  return parts.join(' · ');
}

/** What does not work, a sentence or two for each. */
export function warnings({ ports, fileFault, series, maxSeries, dropped }: SeriesStatus): string[] {
  const told: string[] = [];
  for (const { key, address, fault } of ports) {
    if (fault === null) continue;
    const what = key === 'tcp' ? 'Nobody can send samples to' : 'Nobody can look at series on';
    told.push(
      `${what} ${address}: ${fault}. Perhaps another hub has it; “${key}” in [telemetry] of the configuration names another address.`,
    );
  }
  if (fileFault !== null) told.push(`Series are kept in memory alone, and end with the hub: ${fileFault}.`);
  if (series >= maxSeries)
    told.push(`There are ${maxSeries} series, which is all this hub takes. New ones are refused.`);
  if (dropped > 0)
    told.push(
      `${counted(dropped, 'number', 'numbers')} of the hub’s own cameras found no place among the series.`,
    );
  return told;
}
