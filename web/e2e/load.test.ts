// 64 cameras in one tab. Reports the rates and ages of painted pictures, which depend on the machine. Asserts what must
// hold on every machine: the age does not grow, because no frames are queued, and no camera falls behind the others.
import { expect, test } from 'vitest';
import { launch, painted, until, wallReport, type WallReport } from './browser.ts';
import { patterns, startHub } from './hub.ts';

const CAMERAS = 64;
/** The measurement lasts at least this long in seconds, and until each camera has painted PICTURES pictures. */
const SECONDS = 10;
const PICTURES = 4;
/** The minimum rate of the slowest camera, relative to the median. */
const MIN_RELATIVE_RATE = 0.5;
/**
 * The maximum growth of the age in ms. A queue at HD, 15 fps, painted at a third of that rate, would grow by 3 s
 * between the halves.
 */
const MAX_GROWTH = 1_500;

test.each([
  ['QVGA at 8 fps', 'size=320x240&fps=8'],
  ['VGA at 10 fps', 'size=640x480&fps=10'],
  ['HD at 15 fps, more than a small machine can paint', 'size=1280x720&fps=15'],
])(
  `${CAMERAS} cameras, %s: all are painted, and the age does not grow`,
  async (name, options) => {
    const hub = await startHub(patterns(CAMERAS, options));
    const browser = await launch();
    try {
      const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
      await page.goto(hub.url);
      await until(
        'all cameras are painted',
        () => wallReport(page),
        (report) => painted(report) === CAMERAS,
        40_000,
      );
      const before = counts(await wallReport(page));
      const start = Date.now();
      const ages: number[] = [];
      const paintedAges: number[] = [];
      const elapsed = (): number => (Date.now() - start) / 1000;
      const after = await until(
        'each has painted a few more pictures',
        async () => {
          const wall = await wallReport(page);
          for (const tile of Object.values(wall.tiles)) {
            ages.push(tile?.age ?? Infinity);
            paintedAges.push(tile?.paintedAge ?? Infinity);
          }
          return counts(wall).map((count, index) => count - (before[index] ?? 0));
        },
        (painted) => elapsed() > SECONDS && Math.min(...painted) >= PICTURES,
        60_000,
      );
      const seconds = elapsed();
      const rates = after.map((count) => count / seconds);
      report(name, 'painted fps', rates);
      report(name, 'age when painted, ms', paintedAges);
      report(name, 'age on the screen, ms', ages);
      expect(Math.min(...rates)).toBeGreaterThan(quantile(rates, 0.5) * MIN_RELATIVE_RATE);
      const middle = paintedAges.length / 2;
      const [early, late] = [paintedAges.slice(0, middle), paintedAges.slice(middle)];
      expect(quantile(late, 0.5) - quantile(early, 0.5)).toBeLessThan(MAX_GROWTH);
    } finally {
      await browser.close();
      await hub.stop();
    }
  },
  150_000,
);

const counts = (report: WallReport): number[] =>
  Object.values(report.tiles).map((tile) => tile?.painted ?? 0);

function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? NaN;
}

function report(name: string, quantity: string, values: readonly number[]): void {
  const [minimum, median, p99] = [0, 0.5, 0.99].map((fraction) => quantile(values, fraction).toFixed(1));
  process.stdout.write(
    `${CAMERAS} cameras, ${name}, ${quantity}: min ${minimum}, p50 ${median}, p99 ${p99}\n`,
  );
}
