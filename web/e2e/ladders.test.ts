// The two ladders in a real browser: a network that becomes slow and recovers, with WebCodecs and with media elements,
// and a video decoder that does not respond.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { freshPage, LOCAL_SOURCES } from './account.ts';
import { launch, until } from './browser.ts';
import { startHub, type Hub } from './hub.ts';
import { report, silenceDecoders, untilPlaying, untilStep } from './ladders.ts';
import { HOST, RESOLVE_HOST } from './native.ts';
import { startPacedProxy, type PacedProxy } from './paced-proxy.ts';
import { startRtsp, type RtspServer } from './peers.ts';

const FPS = 15;
/** Bytes per second: 300 kbit/s. */
const SLOW = 37_500;
const FAST = 12_500_000;

let browser: Browser;
let main: RtspServer;
let small: RtspServer;
let hubs: Hub[] = [];
let proxies: PacedProxy[] = [];

beforeAll(async () => {
  browser = await launch({ flags: [RESOLVE_HOST] });
  // Noise cannot be compressed, so the stream has the full bitrate.
  const snow = ['--size', '640x360', '--pattern', 'snow', '--bitrate', '1500'];
  main = await startRtsp(['--fps', String(FPS), '--keys', '30', ...snow]);
  small = await startRtsp(['--fps', String(FPS), '--keys', '30', '--bitrate', '120']);
});

afterAll(async () => {
  await browser.close();
  main.stop();
  small.stop();
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  for (const proxy of proxies) await proxy.stop();
  proxies = [];
  for (const hub of hubs) await hub.stop();
  hubs = [];
});

const camera = (): string =>
  `[[camera]]\nid = "yard"\nsource = "${main.url('/h264')}"\nsubstream = "${small.url('/small')}"\n`;

/** Opens a tile over a network that becomes slow and recovers. Returns what was measured. */
async function survive(scheme: 'https' | 'http'): Promise<string> {
  const tls = scheme === 'https' ? '[tls]\nmode = "local"\n' : '';
  const opened = await startHub([], 0, `${LOCAL_SOURCES}allowed_hosts = ["${HOST}"]\n${camera()}${tls}`);
  hubs.push(opened);
  const proxy = await startPacedProxy(opened.port, FAST);
  proxies.push(proxy);
  const page = await freshPage(browser, { ignoreHTTPSErrors: true });
  await page.goto(`${scheme}://${HOST}:${proxy.port}/play/live/yard`);
  expect(await page.evaluate(() => isSecureContext)).toBe(scheme === 'https');
  await untilPlaying(page, 640, 60_000);
  let start = performance.now();
  const took = (): string => ((performance.now() - start) / 1000).toFixed(1);
  proxy.setRate(SLOW);
  expect((await untilStep(page, 'sub', 20_000))?.label).toBe('Slow network: smaller picture');
  const down = took();
  await untilPlaying(page, 160);
  const steady = took();
  proxy.setRate(FAST);
  start = performance.now();
  await untilStep(page, 'full', 60_000);
  await untilPlaying(page, 640, 40_000);
  return `${scheme}: down after ${down} s, in time after ${steady} s, full again after ${took()} s`;
}

test(
  'a tile survives a network of 300 kbit/s, and is back at its full stream afterwards',
  { timeout: 180_000 },
  async () => {
    // Over https with video decoders, over http with a media element.
    const measured = await Promise.all([survive('https'), survive('http')]);
    process.stdout.write(`300 kbit/s: ${measured.join('; ')}\n`);
  },
);

async function openTile(): Promise<Page> {
  const hub = await startHub([], 0, `${LOCAL_SOURCES}${camera()}`);
  hubs.push(hub);
  const page = await freshPage(browser);
  await page.goto(`${hub.url}/play/live/yard`);
  await untilPlaying(page, 640);
  return page;
}

test('a decoder that does not respond is replaced by software, the substream and JPEG', async () => {
  const page = await openTile();
  await silenceDecoders(page, true);
  const steps: string[] = [];
  const last = await until(
    'it is JPEG',
    async () => {
      const tile = await report(page);
      if (tile && tile.step !== steps.at(-1)) steps.push(tile.step);
      return tile;
    },
    (tile) => tile?.codec === 'jpeg',
    30_000,
  );
  expect(steps).toEqual(['full', 'software', 'sub', 'jpeg']);
  expect(last?.codecReason).toBe('because the video decoder did not respond');
  expect(last?.label).toBe('Decoder failed: fewer pictures');
});

test('the viewer chooses what is shown', async () => {
  const page = await openTile();
  const menu = page.getByRole('combobox', { name: 'Picture of yard' });
  await menu.selectOption('Smaller picture');
  await untilPlaying(page, 160);
  await menu.selectOption('Key frames only');
  await until(
    'one picture for each key frame is shown',
    () => report(page),
    (tile) => tile?.codec === 'h264' && tile.width === 160 && tile.fps > 0 && tile.fps < 1,
  );
  expect(await page.locator('camera-tile').getAttribute('quality')).toBe('keys');
  await menu.selectOption('Auto');
  await untilPlaying(page, 640);
  // On a wall, the camera that fills it has the menu.
  await page.goto(hubs[0]?.url ?? '');
  await page.locator('camera-wall .tile .open').click();
  await page.getByRole('combobox', { name: 'Picture of yard' }).selectOption('Smaller picture');
  await until(
    'the wall shows the substream',
    () =>
      page.evaluate(
        () =>
          document
            .querySelector<HTMLElement & { tileState(id: string): { width: number } | undefined }>(
              'camera-wall',
            )
            ?.tileState('yard')?.width,
      ),
    (width) => width === 160,
  );
});
