// Texts about series and their sources.
import type { Series, SeriesSource, SeriesStatus } from './shapes.ts';
import { clockText } from '../plot/clock-time.ts';
import { formatValue } from '../plot/format-value.ts';
import { xUnit, xUnitText } from '../plot/x-unit.ts';
import { ago, formatTime } from './wording.ts';

/** Smaller clock offsets in ms are not shown: sources that write whole seconds appear to be off by up to 1 s. */
const CLOCK_TOLERANCE = 2000;

const pluralize = (count: number, singular: string, plural: string): string =>
  count === 1 ? `1 ${singular}` : `${count.toLocaleString('en')} ${plural}`;

/** Describes the invalid lines with the last one quoted; empty if there are none. */
export function invalidLinesText({
  malformed,
  lastMalformed,
}: Pick<Series, 'malformed' | 'lastMalformed'>): string {
  if (malformed === 0) return '';
  const last = malformed === 1 ? '' : ', the last one';
  const quoted = lastMalformed === null ? '' : `${last}: “${lastMalformed}”`;
  return `${pluralize(malformed, 'invalid line was', 'invalid lines were')} skipped${quoted}`;
}

export function seriesSummary(series: Series, now: number): string {
  const { points, newest, unit, lastAt, clockOffsetMs, sources } = series;
  const parts = [pluralize(points, 'sample', 'samples')];
  if (newest !== null) parts.push(`newest ${formatValue(newest[1], unit ?? undefined)}`);
  if (lastAt !== null) parts.push(ago(lastAt, now));
  if (sources > 0) parts.push(pluralize(sources, 'source', 'sources'));
  if (clockOffsetMs !== null && Math.abs(clockOffsetMs) >= CLOCK_TOLERANCE)
    parts.push(clockText(clockOffsetMs));
  return parts.join(' · ');
}

/** Explains why a series with times in another unit than ms is an X-Y series; empty for any other series. */
export function xUnitHint({ timed, newest }: Pick<Series, 'timed' | 'newest'>): string {
  const unit = timed || newest === null ? undefined : xUnit(newest[0]);
  return unit === undefined ? '' : xUnitText(unit);
}

/** Returns the name of a source's series. A source that has sent no valid sample may not have a series. */
export function sourceName({ name, points }: Pick<SeriesSource, 'name' | 'points'>): string {
  return name ?? (points === 0 ? 'no series' : 'a deleted series');
}

export function sourceSummary(source: SeriesSource): string {
  const { points, since, ended, endedAt } = source;
  const parts = [pluralize(points, 'sample', 'samples'), `since ${formatTime(since)}`];
  if (endedAt !== null) {
    const reason = points === 0 || ended === null ? '' : `: ${ended}`;
    parts.push(`ended ${formatTime(endedAt)}${reason}`);
  }
  return parts.join(' · ');
}

/** Returns what went wrong with a source, as sentences; empty if nothing did. */
export function sourceProblems(source: SeriesSource): string[] {
  const { points, ended } = source;
  const reason = points === 0 && ended !== null ? asSentence(ended) : '';
  return [reason, invalidLinesText(source)].filter((text) => text !== '');
}

const asSentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** Returns a warning for each fault of the telemetry. */
export function warnings({ ports, fileFault, series, maxSeries, dropped }: SeriesStatus): string[] {
  const found: string[] = [];
  for (const { key, address, fault } of ports) {
    if (fault === null) continue;
    const problem = key === 'tcp' ? 'The hub cannot receive samples on' : 'The hub cannot serve series on';
    found.push(
      `${problem} ${address}: ${fault}. Another program or hub may be using it. To use another address, set “${key}” in [telemetry] of the configuration.`,
    );
  }
  if (fileFault !== null)
    found.push(
      `Series are kept in memory only and are lost when the hub stops: ${fileFault}. Fix the cause to keep them across restarts.`,
    );
  if (series >= maxSeries)
    found.push(
      `The limit of ${maxSeries} series is reached, so new ones are refused. Delete series that you no longer need.`,
    );
  if (dropped > 0)
    found.push(
      `${pluralize(dropped, 'measurement', 'measurements')} of the hub’s own cameras could not be stored as series.`,
    );
  return found;
}
