// Exports the shown samples as a CSV file for spreadsheets.
import type { PlotSeries } from './series-set.ts';
import { MAX_TIME, type Range } from './window.ts';

type Exported = Pick<PlotSeries, 'name' | 'unit' | 'samples' | 'timed'>;

/** Returns the samples in the range as CSV, one per line: series, unit, x, x as an ISO time, y. */
export function toCsv(series: readonly Exported[], range: Range): string {
  const lines = ['series,unit,x,time,y'];
  for (const { name, unit, samples, timed } of series) {
    const prefix = `${quoteCell(name)},${quoteCell(unit ?? '')}`;
    for (let index = 0; index < samples.length; index++) {
      const x = samples.x(index);
      if (x < range.min || x > range.max) continue;
      const time = timed && Math.abs(x) <= MAX_TIME ? new Date(x).toISOString() : '';
      lines.push(`${prefix},${x},${time},${samples.y(index)}`);
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

/**
 * Cell prefixes that spreadsheets treat as formulas, as listed by OWASP, including full-width forms and leading white
 * space.
 */
const FORMULA = /^\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/;
/** A cell that matches is quoted. Includes every separator that spreadsheets use. */
const SPECIAL = /[",;|\t\r\n']|^\s|\s$/;

/** Returns text as one cell that is not a formula, for any separator. */
function quoteCell(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return SPECIAL.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function saveFile(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The download has started by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
