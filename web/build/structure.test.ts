// Checks the structure of the source: no import cycles, no imports from a higher layer, no file above the line limit.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const WEB = fileURLToPath(new URL('..', import.meta.url));
const LAYERS: readonly (readonly string[])[] = [['client'], ['jsmpeg'], ['player', 'plot'], ['app']];
const MAX_LINES = 500;

const read = (file: string): string => readFileSync(join(WEB, file), 'utf8');

function filesIn(folder: string): string[] {
  return readdirSync(join(WEB, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file}`)
    .filter((file) => /\.(ts|svelte|css|html)$/.test(file));
}

const FOLDERS = LAYERS.flat();
const SOURCE = FOLDERS.flatMap(filesIn);

/** The imports of each module from our own modules, including types. */
const IMPORTS = new Map(
  SOURCE.filter((file) => /\.(ts|svelte)$/.test(file)).map((file) => {
    const found = [...read(file).matchAll(/\b(?:from|import)\s*\(?\s*'(\.{1,2}\/[^'?]+)/g)];
    return [file, found.map(([, path]) => normalize(join(dirname(file), path ?? '')))] as const;
  }),
);

test('there are no import cycles', () => {
  const visited = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const cycleStart = path.indexOf(file);
    expect(cycleStart, `a cycle: ${[...path.slice(cycleStart), file].join(' → ')}`).toBe(-1);
    if (visited.has(file)) return;
    for (const imported of IMPORTS.get(file) ?? []) visit(imported, [...path, file]);
    visited.add(file);
  };
  for (const file of IMPORTS.keys()) visit(file, []);
  expect(visited.size).toBeGreaterThan(100);
});

test('a folder imports only from itself and from lower layers', () => {
  const level = (file: string): number =>
    LAYERS.findIndex((layer) => layer.includes(file.split('/')[0] ?? ''));
  const folder = (file: string): string => file.split('/')[0] ?? '';
  for (const [file, imports] of IMPORTS) {
    for (const imported of imports) {
      const allowed = folder(imported) === folder(file) || level(imported) < level(file);
      expect(allowed, `${file} imports ${imported}`).toBe(true);
    }
  }
});

test(`no file has more than ${MAX_LINES} lines`, () => {
  const tooLong = [...SOURCE, ...['bench', 'build', 'e2e'].flatMap(filesIn)].filter(
    (file) => read(file).split('\n').length > MAX_LINES,
  );
  expect(tooLong).toEqual([]);
});
