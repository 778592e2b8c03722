// A Raspberry Pi camera in a real browser: raw pictures from a program, encoded as MPEG-1, decoded in JavaScript. The
// program draws the time into each picture, so the age can be read from the screen.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { clockAge, launch, readClock, until, type TileReport } from './browser.ts';
import { freshPage, setUp } from './account.ts';
import { childrenOf, isRunning, startHub, type Hub } from './hub.ts';

const FAKE_PI = fileURLToPath(new URL('../../crates/ocelli-testkit/fake_pi.py', import.meta.url));
/** The maximum age in ms from the program's clock to the pixels, as the contract requires on loopback at 24 fps VGA. */
const MAX_AGE = 300;

let browser: Browser;
let directory: string;
let hub: Hub | undefined;
const pages: Page[] = [];

beforeAll(async () => {
  browser = await launch();
  directory = await mkdtemp(join(tmpdir(), 'ocelli-jsmpeg-'));
});

afterAll(async () => {
  await browser.close();
  await rm(directory, { recursive: true, force: true });
});

afterEach(async () => {
  for (const page of pages.splice(0)) await page.context().close();
  await hub?.stop();
  hub = undefined;
});

async function startPi(extraConfig = '', program: readonly string[] = []): Promise<Hub> {
  const command = ['python3', FAKE_PI, '640', '480', '24', ...program];
  const config = `[[camera]]
id = "pi"
exec = ${JSON.stringify(command)}
format = "yuv420p"
size = "640x480"
fps = 24
${extraConfig}
`;
  hub = await startHub([], 0, config);
  return hub;
}

async function open(url: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 800, height: 600 } });
  const page = await context.newPage();
  page.on('pageerror', (error) => {
    throw error;
  });
  pages.push(page);
  await page.goto(url);
  return page;
}

const tile = (page: Page): Promise<TileReport | undefined> =>
  page.evaluate(() =>
    document.querySelector<HTMLElement & { tileState(): TileReport | undefined }>('camera-tile')?.tileState(),
  );

/** Reads the clock from a canvas. */
const canvasClock = (page: Page): Promise<number | undefined> =>
  page.evaluate(() => {
    const canvas = document.querySelector('canvas');
    const context = canvas?.getContext('2d');
    if (!canvas || !context || canvas.width !== 640) return undefined;
    const { width, height } = canvas;
    const { data } = context.getImageData(0, Math.round(height - height / 24), width, 1);
    let value = 0;
    for (let block = 0; block < 32; block++) {
      value = value * 2 + ((data[Math.floor(((block + 0.5) * width) / 32) * 4 + 1] ?? 0) > 128 ? 1 : 0);
    }
    return value;
  });

/** Reads a pixel of the message that the classic player draws over its picture. */
const messagePixel = (page: Page): Promise<number[]> =>
  page.evaluate(() => {
    const canvas = document.querySelector('canvas');
    const { data } = canvas?.getContext('2d')?.getImageData(2, canvas.height - 3, 1, 1) ?? { data: [] };
    return [...data];
  });

const isMessage = (pixel: number[]): boolean => pixel.join() === '16,20,24,255';

async function readAges(
  page: Page,
  read: () => Promise<number | undefined>,
  minimum = 15,
): Promise<number[]> {
  await until(
    'the clock can be read',
    read,
    (value) => value !== undefined && Math.abs(clockAge(value)) < 5_000,
  );
  const ages: number[] = [];
  const values = new Set<number>();
  for (let step = 0; step < 40; step++) {
    const value = (await read()) ?? 0;
    ages.push(clockAge(value));
    values.add(value);
    await page.waitForTimeout(37);
  }
  expect(values.size, 'different pictures').toBeGreaterThan(minimum);
  return ages.sort((a, b) => a - b);
}

test('the tile decodes MPEG-1 with at most 300 ms delay and shows its codec', async () => {
  const { url } = await startPi();
  const page = await open(`${url}/play/live/pi?codec=mpeg1`);
  const ages = await readAges(page, () => readClock(page, 'pi', 'camera-tile'));
  expect(ages[20]).toBeLessThan(MAX_AGE);
  process.stdout.write(`age of MPEG-1 on the screen, ms: p50 ${ages[20]}, max ${ages.at(-1)}\n`);
  const state = await until(
    'the tile reports the age',
    () => tile(page),
    (state) => (state?.paintedAge ?? 0) > 0,
  );
  expect(Math.abs((state?.age ?? Infinity) - (ages[20] ?? 0))).toBeLessThan(250);
  expect(state).toMatchObject({ width: 640, height: 480 });

  // The codec is shown and can be changed.
  const button = page.locator('camera-tile .codec');
  expect(await button.textContent()).toBe('MPEG-1');
  expect(await button.getAttribute('aria-label')).toContain('set on this tile');
  await button.click();
  await until(
    'the tile chooses JPEG itself',
    () => button.getAttribute('aria-label'),
    (label) => label?.startsWith('JPEG · auto, ') ?? false,
  );
  expect(await button.textContent()).toBe('JPEG · auto');
  // JPEG at five pictures per second.
  await readAges(page, () => readClock(page, 'pi', 'camera-tile'), 4);
  await button.click();
  await until(
    'the codec is MPEG-1 again',
    () => button.textContent(),
    (label) => label === 'MPEG-1',
  );
  await readAges(page, () => readClock(page, 'pi', 'camera-tile'));
});

test('five browsers play at the same time', { timeout: 120_000 }, async () => {
  const pi = await startPi();
  const all = await Promise.all(Array.from({ length: 5 }, () => open(`${pi.url}/play/live/pi?codec=mpeg1`)));
  for (const page of all) await readAges(page, () => readClock(page, 'pi', 'camera-tile'));
  const [camera] = await pi.cameras();
  expect(camera).toMatchObject({ state: 'live', viewers: 5 });
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });

async function ports(extraConfig = ''): Promise<{ page: string; line: string }> {
  const [http, ws] = [await freePort(), await freePort()];
  const line = `jsmpeg_ports = { http = "127.0.0.1:${http}", ws = "127.0.0.1:${ws}"${extraConfig} }`;
  return { page: `http://127.0.0.1:${http}/`, line };
}

test("a page with the classic API plays on the camera's own ports and reports the end of the source", async () => {
  const { page: address, line } = await ports();
  await startPi(line, ['frames=60', 'end=wedge']);
  const page = await open(address);
  expect(page.url()).toBe(`${address}index.html`);
  await until(
    'the clock can be read',
    () => canvasClock(page),
    (value) => value !== undefined && Math.abs(clockAge(value)) < 1_000,
  );
  // The message covers the lower part of the picture, where the clock's blocks were.
  await until('the page reports missing pictures', () => messagePixel(page), isMessage);
  // The hub restarts the program, and the same page continues.
  await until(
    'the clock can be read again',
    () => canvasClock(page),
    (value) => value !== undefined && Math.abs(clockAge(value)) < 1_000,
    40_000,
  );
});

test('a custom page with the current player plays the transport stream', async () => {
  const index = join(directory, 'custom.html');
  const { page: address, line } = await ports(`, index = ${JSON.stringify(index)}`);
  await writeFile(index, 'to be written');
  const { url } = await startPi(line);
  const stream = `${url.replace('http', 'ws')}/live/jsmpeg?app=live&room=pi&format=ts`;
  await writeFile(
    index,
    `<!doctype html><canvas width="\${WIDTH}" height="\${HEIGHT}" style="background:\${COLOR}"></canvas>
     <script src="jsmpg.js"></script>
     <script>new JSMpeg.Player(${JSON.stringify(stream)},
       { canvas: document.querySelector('canvas'), disableGl: true, disableWebAssembly: true, audio: false, autoplay: true });
     </script>`,
  );
  const page = await open(address);
  const ages = await readAges(page, () => canvasClock(page));
  expect(ages[20]).toBeLessThan(1_000);
});

test('the hub shuts down within 2 s with players of each kind connected and logs nothing', async () => {
  const { page: address, line } = await ports();
  const pi = await startPi(line);
  const players = await Promise.all([
    open(`${pi.url}/play/live/pi?codec=mpeg1`),
    open(`${pi.url}/play/live/pi?codec=jpeg`),
    open(address),
    open(address),
  ]);
  for (const page of players.slice(2)) {
    await until(
      'the clock can be read',
      () => canvasClock(page),
      (value) => value !== undefined && Math.abs(clockAge(value)) < 1_000,
    );
  }
  for (const page of players.slice(0, 2)) {
    await until(
      'a tile has a picture',
      () => tile(page),
      (state) => (state?.painted ?? 0) > 0,
    );
  }
  const started = childrenOf(pi.pid);
  expect(started.length, 'the program and two encoders').toBeGreaterThanOrEqual(3);
  const linesBefore = pi.output.length;
  const requestedAt = Date.now();
  expect(await pi.end('SIGTERM')).toBe(0);
  expect(Date.now() - requestedAt).toBeLessThan(2_000);
  expect(started.filter(isRunning)).toEqual([]);
  expect(pi.output.slice(linesBefore)).toEqual([]);
  // The classic page shows that the connection is lost.
  const [, , classic] = players;
  await until('the classic page shows a message', () => messagePixel(classic), isMessage);
});

test("a USB camera on the hub's machine is offered with its configuration lines", async () => {
  hub = await startHub(['pattern:']);
  const page = await freshPage(browser);
  pages.push(page);
  const devices = [{ source: 'v4l2:/dev/video0', name: 'HD Webcam C920' }];
  // Test machines have no camera.
  await page.route('**/api/v1/devices', (route) => route.fulfill({ json: { data: devices, error: null } }));
  await setUp(page, hub);
  await page.goto(`${hub.url}/settings#cameras/add`);
  const offered = page.getByRole('region', { name: "USB cameras on the hub's machine" });
  await offered.waitFor();
  expect(await offered.locator('pre').textContent()).toBe(
    '[[camera]]\nid = "hd-webcam-c920"\nname = "HD Webcam C920"\nsource = "v4l2:/dev/video0"\n',
  );
});
