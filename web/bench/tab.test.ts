// Benchmark of one tab with many cameras: painted frames, their age, and CPU. The cameras are simulated devices in a
// separate process, or mounts of an RTSP server with one encoder. Prints a table, and writes it to the file named by
// TAB_WRITE.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { launch, painted, until, wallReport } from '../e2e/browser.ts';
import { LOCAL_SOURCES } from '../e2e/account.ts';
import { HUB, startHub, type Hub } from '../e2e/hub.ts';
import { startRtsp } from '../e2e/peers.ts';
import { cpuSeconds, overload, startDevices } from './processes.ts';

const SECONDS = Number(process.env['TAB_SECONDS'] ?? 15);
const TOKEN = 'sk_used-only-by-the-tab-benchmark-tests';
const BEGIN = '<!-- tab: begin -->';
const END = '<!-- tab: end -->';

interface Case {
  readonly cameras: number;
  readonly size: string;
  readonly fps: number;
  readonly overloaded?: boolean;
  /** The bitrate of each camera if it sends H.264 instead of JPEG; kbit/s. */
  readonly h264?: number;
}

const CASES: readonly Case[] = [
  { cameras: 16, size: 'qvga', fps: 8 },
  { cameras: 64, size: 'qvga', fps: 8 },
  { cameras: 100, size: 'qvga', fps: 8 },
  { cameras: 64, size: 'vga', fps: 10 },
  { cameras: 64, size: 'qvga', fps: 8, overloaded: true },
  { cameras: 16, size: '1280x720', fps: 15, h264: 2000 },
  { cameras: 36, size: '640x360', fps: 15, h264: 600 },
];

interface Cameras {
  readonly hub: Hub;
  stop(): void;
}

async function startDeviceCameras({ cameras, size, fps }: Case): Promise<Cameras> {
  process.env['OCELLI_ADMIN_TOKEN'] = TOKEN;
  const hub = await startHub([]);
  const args = ['--cameras', String(cameras), '--size', size, '--fps', String(fps)];
  const devices = startDevices(HUB, hub.url, TOKEN, args);
  return { hub, stop: () => void devices.kill('SIGKILL') };
}

async function startH264Cameras({ cameras, size, fps, h264 }: Case): Promise<Cameras> {
  const options = ['--fps', fps, '--size', size, '--keys', 2 * fps, '--bitrate', h264 ?? 0];
  const server = await startRtsp(options.map(String));
  const sources = Array.from({ length: cameras }, (_, index) => `cam${index + 1}=${server.url('/h264')}`);
  return { hub: await startHub(sources, 0, LOCAL_SOURCES), stop: () => server.stop() };
}

const rows: string[] = [];

test.each(CASES)('$cameras cameras, $size at $fps fps', async (scene) => {
  const { cameras, size, fps, overloaded = false, h264 } = scene;
  const { hub, ...server } = await (h264 ? startH264Cameras(scene) : startDeviceCameras(scene));
  const browser = await launch();
  let stopLoad: (() => void) | undefined;
  try {
    const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
    await page.addInitScript(() => {
      const durations = Object.assign(window, { longTasks: [] as number[] }).longTasks;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) durations.push(entry.duration);
      }).observe({ entryTypes: ['longtask'] });
    });
    await page.goto(hub.url);
    await until(
      'all cameras are painted',
      () => wallReport(page),
      (report) =>
        painted(report) === cameras &&
        Object.values(report.tiles).every((tile) => tile?.codec === (h264 ? 'h264' : 'jpeg')),
      60_000,
    );
    if (overloaded) stopLoad = overload();
    const readTiles = () => wallReport(page).then((report) => Object.values(report.tiles));
    const longTasks = () => page.evaluate(() => (window as unknown as { longTasks: number[] }).longTasks);
    const [before, tasksBefore] = [await readTiles(), (await longTasks()).length];
    const [cpuBefore, start] = [cpuSeconds('chrom'), performance.now()];
    const ages: number[] = [];
    const last = before.map((tile) => tile?.painted ?? 0);
    const elapsed = () => (performance.now() - start) / 1000;
    while (elapsed() < SECONDS) {
      for (const [index, tile] of (await readTiles()).entries()) {
        // Count each painted picture once.
        if (!tile || tile.painted === last[index]) continue;
        last[index] = tile.painted;
        ages.push(tile.paintedAge);
      }
    }
    const seconds = elapsed();
    const cpu = ((cpuSeconds('chrom') - cpuBefore) / seconds) * 100;
    const tasks = (await longTasks()).slice(tasksBefore);
    const rates = (await readTiles()).map(
      (tile, at) => ((tile?.painted ?? 0) - (before[at]?.painted ?? 0)) / seconds,
    );
    const cells = [
      `${cameras}, ${h264 ? `H.264 ${size.replace('x', ' × ')}` : size.toUpperCase()} at ${fps} fps${overloaded ? ', all cores loaded by other processes' : ''}`,
      `${quantile(rates, 0).toFixed(1)} / ${quantile(rates, 0.5).toFixed(1)}`,
      quantile(ages, 0.5).toFixed(0),
      quantile(ages, 0.99).toFixed(0),
      quantile(ages, 1).toFixed(0),
      `${tasks.length}, ${quantile([0, ...tasks], 1).toFixed(0)} ms`,
      `${cpu.toFixed(0)} %`,
    ];
    rows.push(`| ${cells.join(' | ')} |`);
    expect(quantile(rates, 0)).toBeGreaterThan(0);
  } finally {
    stopLoad?.();
    await browser.close();
    server.stop();
    await hub.stop();
  }
});

afterAll(() => {
  const text = [
    `Chromium without a graphics card, the hub and the cameras on one machine; ${SECONDS} s per case. Painted fps are`,
    'those of the slowest and of the median tile. The age is the time from receipt by the hub to painting, sampled as',
    'often as the page responds. A long task blocks the main thread for 50 ms or more. CPU is the total of all browser',
    'processes, in % of one core.',
    '',
    '| cameras | painted fps, min / p50 | age p50, ms | p99, ms | max, ms | long tasks, longest | CPU |',
    '|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
  process.stdout.write(`${text}\n`);
  const path = process.env['TAB_WRITE'];
  if (!path || !existsSync(path)) return;
  const [head, rest] = readFileSync(path, 'utf8').split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`${path} has no ${BEGIN} … ${END}`);
  writeFileSync(path, `${head}${BEGIN}\n${text}\n${END}${tail}`);
});

function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? NaN;
}
