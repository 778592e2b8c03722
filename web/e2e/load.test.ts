// 64 cameras in one tab: reports what was painted and how old it was. How old is a matter of the machine; that
// it does not grow is the wall's promise, for whatever queued would grow older with every frame it can't paint.
import { expect, test } from 'vitest';
import { launch, painted, until, wallReport } from './browser.ts';
import { patterns, startHub } from './hub.ts';

const CAMERAS = 64;
const SECONDS = 10;
/** ms. HD at 15 fps that is painted at a third of that would age by 3 s from one half of the time to the other. */
const GROWTH = 1_500;

test.each([
  ['QVGA at 8 fps', 'size=320x240&fps=8'],
  ['VGA at 10 fps', 'size=640x480&fps=10'],
  ['HD at 15 fps, more than a small machine can paint', 'size=1280x720&fps=15'],
])(`${CAMERAS} cameras, %s: all paint, and the age does not grow`, async (name, options) => {
  const hub = await startHub(patterns(CAMERAS, options));
  const browser = await launch();
  try {
    const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
    await page.goto(hub.url);
    await until(
      'all paint',
      () => wallReport(page),
      (report) => painted(report) === CAMERAS,
      40_000,
    );
    const counts = async (): Promise<number[]> =>
      Object.values((await wallReport(page)).tiles).map((tile) => tile?.painted ?? 0);
    const before = await counts();
    const start = Date.now();
    const ages: number[] = [];
    const paintedAges: number[] = [];
    await until(
      'the time is over',
      async () => {
        for (const tile of Object.values((await wallReport(page)).tiles)) {
          ages.push(tile?.age ?? Infinity);
          paintedAges.push(tile?.paintedAge ?? Infinity);
        }
        return Date.now() - start;
      },
      (passed) => passed > SECONDS * 1000,
      60_000,
    );
    const seconds = (Date.now() - start) / 1000;
    const rates = (await counts()).map((count, index) => (count - (before[index] ?? 0)) / seconds);
    report(name, 'painted fps', rates);
    report(name, 'age when painted, ms', paintedAges);
    report(name, 'age on the screen, ms', ages);
    expect(Math.min(...rates)).toBeGreaterThan(0.5);
    const middle = paintedAges.length / 2;
    const [early, late] = [paintedAges.slice(0, middle), paintedAges.slice(middle)];
    expect(quantile(late, 0.5) - quantile(early, 0.5)).toBeLessThan(GROWTH);
  } finally {
    await browser.close();
    await hub.stop();
  }
});

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN;
}

function report(name: string, what: string, values: readonly number[]): void {
  const [least, half, most] = [0, 0.5, 0.99].map((part) => quantile(values, part).toFixed(1));
  process.stdout.write(`${CAMERAS} cameras, ${name}, ${what}: least ${least}, p50 ${half}, p99 ${most}\n`);
}
