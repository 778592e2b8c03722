// H.264 and H.265 in a real browser, from an RTSP server to the screen: played as the camera sends it where the browser
// and the page can decode it, and as JPEG, with the reason, where they cannot.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { freshPage, LOCAL_SOURCES } from './account.ts';
import { launch, setVisibility, until, wallReport, type TileReport } from './browser.ts';
import { startHub, type Hub } from './hub.ts';
import { growth, HOST, measure, quantile, RESOLVE_HOST, tileOf, untilShown, untilSteady } from './native.ts';
import { startRtsp, type RtspServer } from './peers.ts';

const FPS = 15;
const SECONDS = 10;

let browser: Browser;
let rtsp: RtspServer;
let hub: Hub | undefined;

beforeAll(async () => {
  browser = await launch({ flags: [RESOLVE_HOST] });
  rtsp = await startRtsp(['--fps', String(FPS), '--size', '640x360', '--keys', '30']);
});

afterAll(async () => {
  await browser.close();
  rtsp.stop();
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await hub?.stop();
  hub = undefined;
});

/** `script` runs before those of the page. */
async function openWall(
  mounts: readonly string[],
  origin = 'http://127.0.0.1',
  script?: () => void,
): Promise<Page> {
  const sources = mounts.map((mount) => `${mount}=${rtsp.url(`/${mount}`)}`);
  const tls = origin.startsWith('https:') ? '[tls]\nmode = "local"\n' : '';
  hub = await startHub(sources, 0, `${LOCAL_SOURCES}allowed_hosts = ["${HOST}"]\n${tls}`);
  const page = await freshPage(browser, { ignoreHTTPSErrors: true });
  if (script) await page.addInitScript(script);
  await page.goto(`${origin}:${hub.port}/`);
  return page;
}

/** A checksum of the pixels of a camera. */
const checksum = (page: Page, camera: string): Promise<number> =>
  page.evaluate(async (id) => {
    interface Reader extends HTMLElement {
      readTile(camera: string): Promise<{ readonly data: Uint8ClampedArray } | undefined>;
    }
    const pixels = await document.querySelector<Reader>('camera-wall')?.readTile(id);
    // Reading all pixels would delay the pictures.
    let sum = 0;
    for (let at = 0; at < (pixels?.data.length ?? 0); at += 997)
      sum = (sum * 31 + (pixels?.data[at] ?? 0)) % 1_000_003;
    return sum;
  }, camera);

/** Counts the decoders that the page's painter has open, by wrapping the constructor where the painter runs. */
async function countDecoders(page: Page): Promise<() => Promise<number>> {
  const worker = await until(
    'the painter has a worker',
    () => page.workers()[0],
    (found) => found !== undefined,
  );
  if (!worker) throw new Error('the painter has no worker');
  await worker.evaluate(() => {
    const scope = globalThis as typeof globalThis & { openDecoders: Set<VideoDecoder> };
    scope.openDecoders = new Set();
    type Decode = (this: VideoDecoder, chunk: EncodedVideoChunk) => void;
    const decode: Decode = Reflect.get<VideoDecoder, 'decode'>(VideoDecoder.prototype, 'decode');
    VideoDecoder.prototype.decode = function (chunk) {
      scope.openDecoders.add(this);
      decode.call(this, chunk);
    };
  });
  return () =>
    worker.evaluate(() => {
      const { openDecoders } = globalThis as typeof globalThis & { openDecoders: Set<VideoDecoder> };
      return [...openDecoders].filter(({ state }) => state !== 'closed').length;
    });
}

test.each(['h264', 'bframes', 'oob'])(
  'the camera %s plays at its full size and rate, and its age does not grow',
  async (mount) => {
    const page = await openWall([mount]);
    await untilShown(page, mount, 'h264');
    // The cached group is played faster than real time at first.
    await until(
      'the rate is that of the camera',
      () => tileOf(page, mount),
      (tile) => tile !== undefined && tile.painted > FPS && tile.fps < FPS * 1.2,
    );
    const before = await tileOf(page, mount);
    const start = performance.now();
    const ages: number[] = [];
    const sums = new Set<number>();
    while (performance.now() - start < SECONDS * 1000) {
      ages.push((await tileOf(page, mount))?.paintedAge ?? Infinity);
      if (ages.length % 5 === 0) sums.add(await checksum(page, mount));
      await page.waitForTimeout(200);
    }
    const after = await tileOf(page, mount);
    const seconds = (performance.now() - start) / 1000;
    const painted = (after?.painted ?? 0) - (before?.painted ?? 0);
    // JPEG has a third of the rate. How close it comes to the full rate depends on what else this machine does; that is
    // measured by `make bench-tab`.
    expect(painted / seconds).toBeGreaterThan(FPS * 0.5);
    expect(Math.max(...ages)).toBeLessThan(1_000);
    expect(growth(ages)).toBeLessThan(150);
    expect(sums.size, 'different pictures').toBeGreaterThan(SECONDS / 4);
    expect(after).toMatchObject({ width: 640, height: 360, codecReason: '' });
    const text = await page.locator('camera-wall .format').textContent();
    expect(text).toBe('H.264 640×360');
  },
);

test('a camera whose codec the browser does not decode is shown as JPEG, with the reason', async () => {
  const page = await openWall(['h265']);
  const tile = await untilShown(page, 'h265', 'jpeg');
  expect(tile?.painted).toBeGreaterThan(0);
  const reason = await until(
    'the tile says why',
    async () => (await tileOf(page, 'h265'))?.codecReason,
    (reason) => reason?.includes('H.265') ?? false,
  );
  expect(reason).toMatch(/^because this browser cannot decode H\.265( \(hev1\.[^)]+\))?$/);
  expect(await page.locator('camera-wall .format').getAttribute('title')).toBe(`JPEG, ${reason}`);
});

test('a page of another host plays native video over https', async () => {
  const page = await openWall(['h264'], `https://${HOST}`);
  expect(await page.evaluate(() => isSecureContext)).toBe(true);
  await untilShown(page, 'h264', 'h264');
  await untilSteady(page, ['h264'], FPS);
  const played = await measure(page, ['h264'], 2 * FPS);
  expect(played.get('h264')?.fps, 'more than as JPEG').toBeGreaterThan(FPS * 0.5);
  expect(quantile(played.get('h264')?.paintedAges ?? [], 1)).toBeLessThan(1_000);
  expect(await page.locator('camera-wall .format').textContent()).toBe('H.264 640×360');
});

test('a page of another host without media elements shows JPEG over http, with the reason', async () => {
  const page = await openWall(['h264'], `http://${HOST}`, () =>
    Reflect.deleteProperty(window, 'MediaSource'),
  );
  expect(await page.evaluate(() => isSecureContext)).toBe(false);
  const tile = await untilShown(page, 'h264', 'jpeg');
  expect(tile?.codecReason).toBe('because this page is not served over https');
  const format = page.locator('camera-wall .format');
  expect(await format.getAttribute('title')).toBe('JPEG, because this page is not served over https');
});

test('a camera that sends JPEG is shown as JPEG, with the reason', async () => {
  const page = await openWall(['mjpeg']);
  await untilShown(page, 'mjpeg', 'jpeg');
  await until(
    'the tile says why',
    async () => (await tileOf(page, 'mjpeg'))?.codecReason,
    (reason) => reason === 'because the camera sends JPEG',
  );
});

test('a hidden page releases its decoders and shows the newest picture when it is visible again', async () => {
  const page = await openWall(['h264', 'bframes']);
  const openDecoders = await countDecoders(page);
  await untilShown(page, 'h264', 'h264');
  await untilShown(page, 'bframes', 'h264');
  await until('both decoders are open', openDecoders, (count) => count === 2);
  await setVisibility(page, 'hidden');
  await until('the decoders are closed', openDecoders, (count) => count === 0);
  await until(
    'the hub has no viewers',
    async () => (await hub?.cameras()) ?? [],
    (cameras) => cameras.every(({ viewers }) => viewers === 0),
  );
  const visibleAt = Date.now() * 1000;
  await setVisibility(page, 'visible');
  await until(
    'the newest pictures are shown',
    () => wallReport(page),
    ({ tiles }) =>
      Object.values(tiles).every((tile) => tile?.codec === 'h264' && tile.captureTime > visibleAt),
  );
});

test('a small tile shows the substream and a large one the main stream, without a black moment', async () => {
  const config = `${LOCAL_SOURCES}[[camera]]\nid = "yard"\nsource = "${rtsp.url('/h264')}"\nsubstream = "${rtsp.url('/small')}"\n`;
  hub = await startHub([], 0, config);
  const page = await freshPage(browser, { viewport: { width: 160, height: 400 } });
  await page.goto(`${hub.url}/play/live/yard`);
  // The page's own tile always shows the main stream.
  const size = (): Promise<TileReport | undefined> =>
    page.evaluate(() =>
      document
        .querySelector<HTMLElement & { tileState(): TileReport | undefined }>('camera-tile')
        ?.tileState(),
    );
  const untilWidth = (width: number): Promise<TileReport | undefined> =>
    until(`the picture is ${width} wide`, size, (tile) => tile?.codec === 'h264' && tile.width === width);
  await untilWidth(640);
  await page.evaluate(() => document.querySelector('camera-tile')?.removeAttribute('stream'));
  await untilWidth(160);
  await page.setViewportSize({ width: 800, height: 600 });
  let gaps = 0;
  await until('the picture is 640 wide', size, (tile) => {
    if (!tile) gaps += 1;
    return tile?.width === 640;
  });
  expect(gaps).toBe(0);
});

test('the codec of a single tile can be changed', async () => {
  await openWall(['h264']);
  const page = await freshPage(browser);
  await page.goto(`${hub?.url}/play/live/h264`);
  const button = page.locator('camera-tile .codec');
  const untilLabel = (label: string): Promise<string | null> =>
    until(
      `the button says ${label}`,
      () => button.textContent(),
      (text) => text === label,
    );
  await untilLabel('H.264 · auto');
  expect(await button.getAttribute('aria-label')).toBe(
    'H.264 · auto, as the camera sends it. Press to change.',
  );
  await button.click();
  await untilLabel('JPEG');
  await button.click();
  await untilLabel('MPEG-1');
  await button.click();
  await untilLabel('H.264 · auto');
});
