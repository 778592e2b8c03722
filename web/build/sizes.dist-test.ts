// Download size per page: its scripts and styles as built, each compressed with gzip. Needs `npm run build` first.
// Each budget is about 10 % above the size measured when it was set. Raise it here if a change needs more.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

/** kB (1000 bytes) after gzip. */
const BUDGETS: Readonly<Record<string, number>> = {
  'index.html': 76,
  'live.html': 103,
  'play.html': 42,
  'plot.html': 40,
  'publish.html': 36,
  'settings.html': 69,
  'sign-in.html': 35,
  // The elements, which pages of other origins load too. Also counted in the pages above that load them.
  'ocelli.js': 40,
  'plot.js': 41,
  // Loaded only where sound is turned on.
  'sound.js': 5,
  // Loaded only where MPEG-1 is shown.
  'jsmpeg.js': 46,
  'jsmpg.js': 47,
};

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const read = (file: string): string => readFileSync(join(DIST, file), 'utf8');
const isPage = (file: string): boolean => file.endsWith('.html');

/** The scripts and styles in a page's HTML, and the static imports of those scripts. */
function filesOf(page: string): Set<string> {
  const files = new Set<string>();
  const add = (address: string, from: string): void => {
    const file = new URL(address, `http://hub/${from}`).pathname.slice(1);
    if (files.has(file)) return;
    files.add(file);
    if (!file.endsWith('.js')) return;
    for (const [, imported] of read(file).matchAll(/\b(?:from|import)\s*["'`]([^"'`]+\.js)["'`]/g))
      if (imported !== undefined) add(imported, file);
  };
  for (const [, address] of read(page).matchAll(/(?:src|href)="([^"]+\.(?:js|css))"/g))
    if (address !== undefined) add(address, page);
  return files;
}

const sizeOf = (file: string): number => gzipSync(readFileSync(join(DIST, file)), { level: 9 }).length / 1000;

test.each(Object.entries(BUDGETS))('%s is within %d kB', (file, budget) => {
  const files = isPage(file) ? [...filesOf(file)] : [file];
  const parts = files.map((part) => [part, sizeOf(part)] as const);
  const total = parts.reduce((sum, [, size]) => sum + size, 0);
  expect(files.length).toBeGreaterThan(0);
  expect(total, parts.map(([part, size]) => `${part} ${size.toFixed(1)}`).join('\n')).toBeLessThanOrEqual(
    budget,
  );
});

test('every page and every top-level script has a budget', () => {
  const built = readdirSync(DIST).filter((file) => isPage(file) || file.endsWith('.js'));
  expect(built.sort()).toEqual(Object.keys(BUDGETS).sort());
});
