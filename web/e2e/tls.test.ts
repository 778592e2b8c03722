// The wall over https and wss in a browser that trusts the hub's certificate authority, and in one that does not.
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SeriesPlot } from '../plot/series-plot.ts';
import { launch, painted, until, wallReport } from './browser.ts';
import { patterns, startHub, type Hub } from './hub.ts';

const CAMERAS = 8;
let hub: Hub;
let home: string;

beforeAll(async () => {
  hub = await startHub(patterns(CAMERAS), 0, '[tls]\nmode = "local"\n');
  home = await mkdtemp(join(tmpdir(), 'ocelli-home-'));
});

afterAll(async () => {
  await hub.stop();
  await rm(home, { recursive: true, force: true });
});

/** Installs the hub's certificate authority as described for Linux on its page for devices. */
async function installAuthority(): Promise<void> {
  // A device that does not trust the hub yet downloads the certificate over plain http.
  const response = await fetch(`${hub.url.replace('https:', 'http:')}/ca.pem`);
  expect(response.headers.get('content-type')).toBe('application/x-pem-file');
  const pem = join(home, 'ca.pem');
  await writeFile(pem, await response.text());
  const folder = join(home, '.pki/nssdb');
  await mkdir(folder, { recursive: true });
  const database = `sql:${folder}`;
  execFileSync('certutil', ['-d', database, '-N', '--empty-password']);
  execFileSync('certutil', ['-d', database, '-A', '-t', 'C,,', '-n', 'ocelli', '-i', pem]);
}

test('a browser shows the wall over wss only if it trusts the authority', async () => {
  expect(hub.url).toMatch(/^https:/);
  const withoutAuthority = await launch({ home });
  try {
    const page = await withoutAuthority.newPage();
    await expect(page.goto(hub.url)).rejects.toThrow('ERR_CERT_AUTHORITY_INVALID');
  } finally {
    await withoutAuthority.close();
  }

  await installAuthority();
  const browser = await launch({ home });
  try {
    const page = await browser.newPage();
    const sockets: string[] = [];
    page.on('websocket', (socket) => sockets.push(socket.url()));
    await page.goto(hub.url.replace('https:', 'http:'));
    expect(page.url(), 'plain http is redirected').toMatch(/^https:/);
    await until(
      'every camera is painted',
      () => wallReport(page),
      (report) => report.link === 'open' && painted(report, 3) === CAMERAS,
      40_000,
    );
    expect(await page.evaluate(() => isSecureContext)).toBe(true);
    const protocol = await page.evaluate(
      () => (performance.getEntriesByType('navigation')[0] as PerformanceNavigationTiming).nextHopProtocol,
    );
    expect(protocol).toBe('h2');
    // More MJPEG streams than the connections that a browser opens to one host.
    const play = await page.evaluate(async (count) => {
      const images = Array.from({ length: count }, (_, index) => {
        const image = new Image();
        image.src = `/live/live/cam${index + 1}/mjpeg`;
        document.body.append(image);
        return image;
      });
      const end = Date.now() + 20_000;
      const playing = (): number => images.filter((image) => image.naturalWidth > 0).length;
      while (playing() < count && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 100));
      return playing();
    }, CAMERAS);
    expect(play).toBe(CAMERAS);
    // Series work too.
    const line = await until(
      'the hub accepts samples',
      () => hub.output.find((line) => line.includes('samples over TCP on')),
      (found) => found !== undefined,
    );
    const source = connect(Number(line?.split(':').at(-1)), '127.0.0.1');
    source.end(`temp\n${Date.now()} 21.5\n`);
    await page.goto(`${hub.url}/plot?series=temp`);
    await until(
      'the sample is drawn',
      () => page.evaluate(() => document.querySelector<SeriesPlot>('series-plot')?.report().series[0]?.ys),
      (ys) => ys?.join() === '21.5',
    );
    expect(sockets.at(-1)).toMatch(/^wss:.*\/ws\/series/);
    expect(sockets.every((url) => url.startsWith('wss:'))).toBe(true);
  } finally {
    await browser.close();
  }
});
