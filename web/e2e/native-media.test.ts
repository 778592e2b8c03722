// Native video on pages that are not secure contexts, in media elements: H.264 from an RTSP server to the screen of
// Chromium, Firefox and WebKitGTK over plain http.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { freshPage, LOCAL_SOURCES } from './account.ts';
import { launch, setVisibility, until, type TileReport } from './browser.ts';
import { startHub, type Hub } from './hub.ts';
import { HOST, quantile, RESOLVE_HOST, tileOf, untilShown } from './native.ts';
import { startRtsp, type RtspServer } from './peers.ts';
import { startNameProxy } from './name-proxy.ts';
import { startFirefox, startWebKit } from './webdriver.ts';

const FPS = 15;
const SECONDS = 6;
const MOUNTS = ['h264', 'bframes', 'resize'] as const;
const RTSP = ['--fps', String(FPS), '--size', '640x360', '--keys', '30'];
/** Makes Firefox resolve that name. */
const FIREFOX = { 'network.dns.forceResolve': '127.0.0.1' };

let browser: Browser;
let rtsp: RtspServer;
let hub: Hub;

beforeAll(async () => {
  browser = await launch({ flags: [RESOLVE_HOST] });
  rtsp = await startRtsp(RTSP);
  const sources = MOUNTS.map((mount) => `${mount}=${rtsp.url(`/${mount}`)}`);
  hub = await startHub(sources, 0, `${LOCAL_SOURCES}allowed_hosts = ["${HOST}"]\n`);
});

afterAll(async () => {
  await browser.close();
  await hub.stop();
  rtsp.stop();
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});

/** Opens a page over plain http. `script` runs before its own. */
async function open(path: string, script?: () => void): Promise<Page> {
  const page = await freshPage(browser);
  if (script) await page.addInitScript(script);
  await page.goto(`http://${HOST}:${hub.port}${path}`);
  expect(await page.evaluate(() => isSecureContext)).toBe(false);
  return page;
}

type Run = (body: string, ...args: unknown[]) => Promise<unknown>;

/** Runs the body of an async function in a page of Chromium. */
const runIn =
  (page: Page): Run =>
  (body, ...args) =>
    page.evaluate(`(async (...args) => {${body}})(...${JSON.stringify(args)})`);

/** The state of each tile of a wall, and the number of elements that play. */
const STATES = `
  const wall = document.querySelector('camera-wall');
  const tiles = Object.fromEntries((wall?.cameras ?? []).map(({ id }) => [id, wall.tileState(id)]));
  return { tiles, elements: wall?.shadowRoot?.querySelectorAll('video').length ?? 0, secure: isSecureContext };`;

/** A checksum of the pixels of a camera. */
const CHECKSUM = `
  const pixels = await document.querySelector('camera-wall').readTile(args[0]);
  let sum = 0;
  for (let at = 0; at < (pixels?.data.length ?? 0); at += 997) sum = (sum * 31 + pixels.data[at]) % 1000003;
  return sum;`;

interface States {
  readonly tiles: Readonly<Record<string, TileReport | undefined>>;
  readonly elements: number;
  readonly secure: boolean;
}

type Mount = (typeof MOUNTS)[number];

interface Limits {
  /** The part of the camera's rate that is shown at least. */
  readonly part: number;
  /** The median age of pictures at most; ms. */
  readonly age: number;
}

/** Expects that a wall plays all cameras at their rate, with a bounded age, and that their pictures move. */
async function expectPlaying(run: Run, name: string, limits: Readonly<Record<Mount, Limits>>): Promise<void> {
  const states = async (): Promise<States> => (await run(STATES)) as States;
  await until(
    'all cameras play',
    states,
    ({ tiles }) =>
      MOUNTS.every((mount) => tiles[mount]?.codec === 'h264' && tiles[mount].painted > 1.5 * FPS),
    40_000,
  );
  const before = await states();
  expect(before.secure).toBe(false);
  expect(before.elements).toBe(MOUNTS.length);
  const start = performance.now();
  const ages = new Map(MOUNTS.map((mount) => [mount, [] as number[]]));
  const sums = new Set<unknown>();
  const widths = new Set<number>();
  const after = await until(
    'six seconds have passed, with both sizes',
    async () => {
      const report = await states();
      for (const mount of MOUNTS) ages.get(mount)?.push(report.tiles[mount]?.paintedAge ?? Infinity);
      widths.add(report.tiles['resize']?.width ?? 0);
      if (sums.size < 5) sums.add(await run(CHECKSUM, 'h264'));
      expect(Object.values(report.tiles).map((tile) => tile?.codec)).toEqual(MOUNTS.map(() => 'h264'));
      return report;
    },
    () => performance.now() - start > SECONDS * 1000 && widths.size > 1,
  );
  const seconds = (performance.now() - start) / 1000;
  const figures = MOUNTS.map((mount) => {
    const fps = ((after.tiles[mount]?.painted ?? 0) - (before.tiles[mount]?.painted ?? 0)) / seconds;
    const measured = ages.get(mount) ?? [];
    expect(fps, mount).toBeGreaterThan(FPS * limits[mount].part);
    expect(quantile(measured, 0.5), mount).toBeLessThan(limits[mount].age);
    const [p50, p99] = [quantile(measured, 0.5), quantile(measured, 0.99)];
    return `${mount} ${fps.toFixed(1)} fps, age ${p50.toFixed(0)} / ${p99.toFixed(0)} ms`;
  });
  process.stdout.write(`${name}, media elements over http: ${figures.join('; ')}\n`);
  expect(sums.size, 'different pictures').toBe(5);
  expect([...widths].sort()).toEqual([320, 640]);
  expect(after.tiles['h264']).toMatchObject({ width: 640, height: 360, codecReason: '' });
}

test('Chromium plays cameras over plain http, also with B-frames and other sizes', async () => {
  const page = await open('/');
  const limits = { part: 0.8, age: 500 };
  const all = { h264: limits, resize: limits, bframes: { part: 0.8, age: 800 } };
  await expectPlaying(runIn(page), `Chromium ${browser.version()}`, all);
  expect(await page.locator('camera-wall .format').first().textContent()).toBe('H.264 640×360');
});

test(
  'Firefox plays cameras over plain http, also with B-frames and other sizes',
  { timeout: 120_000 },
  async () => {
    const firefox = await startFirefox(FIREFOX);
    try {
      await firefox.open(`http://${HOST}:${hub.port}/`);
      const limits = { part: 0.7, age: 800 };
      // Firefox decodes each group again whenever it reaches the end of a buffer with B-frames.
      const all = { h264: limits, resize: limits, bframes: { part: 0.4, age: 2_500 } };
      await expectPlaying((body, ...args) => firefox.run(body, ...args), `Firefox ${firefox.version}`, all);
    } finally {
      await firefox.close();
    }
  },
);

test(
  'WebKitGTK plays cameras over plain http, also with B-frames and other sizes',
  { timeout: 120_000 },
  async () => {
    const proxy = await startNameProxy(hub.port);
    const webkit = await startWebKit(proxy.port);
    try {
      await webkit.open(`http://${HOST}/`);
      // Without a graphics card it redraws a page only a few times a second.
      const limits = { part: 0.15, age: 1_000 };
      const all = { h264: limits, resize: limits, bframes: { part: 0.15, age: 2_500 } };
      await expectPlaying((body, ...args) => webkit.run(body, ...args), `WebKitGTK ${webkit.version}`, all);
    } finally {
      await webkit.close();
      await proxy.stop();
    }
  },
);

const elements = (page: Page): Promise<number> => page.locator('camera-wall video').count();

test('a hidden page and a frozen camera keep their pictures and release the elements', async () => {
  const page = await open('/');
  await untilShown(page, 'h264', 'h264');
  await page.evaluate(() => {
    document
      .querySelector<HTMLElement & { freeze(id: string, frozen: boolean): void }>('camera-wall')
      ?.freeze('h264', true);
  });
  const untilElements = (count: number): Promise<number> =>
    until(
      `${count} elements are left`,
      () => elements(page),
      (found) => found === count,
    );
  await untilElements(2);
  const run = runIn(page);
  const frozen = await until(
    'the canvas has the picture',
    () => run(CHECKSUM, 'h264'),
    (sum) => sum !== 0,
  );
  await setVisibility(page, 'hidden');
  await untilElements(0);
  const visibleAt = Date.now() * 1000;
  await setVisibility(page, 'visible');
  await until(
    'new pictures are shown',
    () => tileOf(page, 'bframes'),
    (tile) => tile?.codec === 'h264' && tile.captureTime > visibleAt,
  );
  expect(await tileOf(page, 'h264')).toMatchObject({ frozen: true, codec: 'h264' });
  expect(await run(CHECKSUM, 'h264')).toBe(frozen);
});

test('the picture goes on after the camera has restarted', async () => {
  let server = await startRtsp(RTSP);
  const second = await startHub(
    [`yard=${server.url('/h264')}`],
    0,
    `${LOCAL_SOURCES}allowed_hosts = ["${HOST}"]\n`,
  );
  try {
    const page = await freshPage(browser);
    await page.goto(`http://${HOST}:${second.port}/`);
    await untilShown(page, 'yard', 'h264');
    server.stop();
    await until(
      'the hub notices',
      () => second.cameras(),
      ([camera]) => camera?.state !== 'live',
    );
    const restarted = Date.now() * 1000;
    server = await startRtsp([...RTSP, '--port', server.port]);
    await until(
      'it plays again',
      () => tileOf(page, 'yard'),
      (tile) => tile?.codec === 'h264' && tile.captureTime > restarted && tile.paintedAge < 1_000,
    );
    expect(await elements(page)).toBe(1);
  } finally {
    await second.stop();
    server.stop();
  }
});

test('an element that shows nothing is replaced by JPEG, with the reason', async () => {
  const page = await open('/play/live/h264', () => {
    HTMLVideoElement.prototype.requestVideoFrameCallback = () => 0;
  });
  const tile = (): Promise<TileReport | undefined> =>
    page.evaluate(() =>
      document
        .querySelector<HTMLElement & { tileState(): TileReport | undefined }>('camera-tile')
        ?.tileState(),
    );
  await until(
    'it is JPEG',
    tile,
    (report) =>
      report?.codec === 'jpeg' && report.codecReason === 'because the video decoder did not respond',
  );
  expect(await page.locator('camera-tile video').count()).toBe(0);
});

test('a video that the browser refuses to start plays when the person clicks', async () => {
  const page = await open('/play/live/h264', () => {
    const scope = globalThis as typeof globalThis & { used?: boolean };
    type Play = (this: HTMLVideoElement) => Promise<void>;
    const play: Play = Reflect.get<HTMLVideoElement, 'play'>(HTMLVideoElement.prototype, 'play');
    HTMLVideoElement.prototype.play = function () {
      return scope.used ? play.call(this) : Promise.reject(new DOMException('no', 'NotAllowedError'));
    };
    addEventListener('pointerdown', () => (scope.used = true), true);
  });
  const button = page.locator('camera-tile .codec');
  await until(
    'it is JPEG',
    () => button.getAttribute('aria-label'),
    (label) => label?.startsWith('JPEG') ?? false,
  );
  expect(await button.getAttribute('aria-label')).toContain('until you press a key or click');
  await page.mouse.click(640, 300);
  await until(
    'it is H.264',
    () => button.textContent(),
    (text) => text === 'H.264 · auto',
  );
});

test('two tiles with the same camera show the same picture', async () => {
  const page = await open('/play/live/h264');
  await page.evaluate(() => {
    const tile = document.createElement('camera-tile');
    tile.setAttribute('camera', 'h264');
    tile.setAttribute('style', 'position: fixed; inset: 0 auto auto 0; width: 320px');
    document.body.append(tile);
  });
  await page.locator('camera-tile .picture video.playing').waitFor();
  const mirror = page.locator('camera-tile .picture canvas');
  await mirror.waitFor();
  const pixel = (): Promise<string> =>
    mirror.evaluate((canvas) =>
      String(
        (canvas as HTMLCanvasElement).getContext('2d')?.getImageData(0, 0, 640, 360).data.slice(0, 100_000),
      ),
    );
  const first = await pixel();
  await until('it moves', pixel, (now) => now !== first);
  expect(await page.locator('camera-tile .picture video').count()).toBe(1);
});
