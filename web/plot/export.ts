// What a plot shows as a file: numbers for a spreadsheet.
import type { PlotSeries } from './series-set.ts';
import type { Range } from './window.ts';

/** The samples of these series in the range, a line for each: series, unit, x, the time it means, y. */
export function toCsv(series: readonly PlotSeries[], range: Range): string {
  const lines = ['series,unit,x,time,y'];
  for (const { name, unit, samples, timed } of series) {
    const head = `${quoted(name)},${quoted(unit ?? '')}`;
    for (let index = 0; index < samples.length; index++) {
      const x = samples.x(index);
      if (x < range.min || x > range.max) continue;
      const time = timed ? new Date(x).toISOString() : '';
      lines.push(`${head},${x},${time},${samples.y(index)}`);
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

/**
 * A spreadsheet takes a cell that begins so for a formula: what OWASP lists, the full-width
 * forms and blanks before them included.
 */
const FORMULA = /^\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/;
/** A cell with one of these is quoted: any of the separators that spreadsheets split at. */
const SPECIAL = /[",;|\t\r\n']|^\s|\s$/;

/** A text as one cell that is no formula, whatever separator the spreadsheet goes by. */
function quoted(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return SPECIAL.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function save(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The download has its own hold on it by then.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
