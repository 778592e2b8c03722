// Appearance and accessibility: axe-core in both colour schemes, a phone, an empty hub, the page of one camera, a foreign
// page.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { clockAge, axeFindings, launch, painted, readClock, until, wallReport } from './browser.ts';
import { patterns, startHub, type Hub } from './hub.ts';

const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

let browser: Browser;
let page: Page;
let hub: Hub;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

afterEach(async () => {
  await page.context().close();
  await hub.stop();
});

async function open(path: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  page = await context.newPage();
  await page.goto(`${hub.url}${path}`);
}

for (const colorScheme of ['dark', 'light'] as const) {
  test(`axe finds nothing serious on a ${colorScheme} wall, its help, and one camera`, async () => {
    hub = await startHub([...patterns(4), 'broken=rtsp://127.0.0.1:1/']);
    await open('/', { colorScheme });
    await until(
      'all cameras are painted',
      () => wallReport(page),
      (report) => painted(report) === 4,
    );
    await page.getByRole('button', { name: 'Retry broken' }).waitFor({ timeout: 40_000 });
    expect(await axeFindings(page)).toEqual([]);
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^cam1,/ }).click();
    await page.getByRole('button', { name: 'All cameras' }).waitFor();
    expect(await axeFindings(page)).toEqual([]);
  });

  test(`axe finds nothing serious on a ${colorScheme} empty hub, which explains how to add a camera`, async () => {
    hub = await startHub([]);
    await open('/', { colorScheme });
    await page.getByRole('heading', { name: 'No cameras yet' }).waitFor();
    expect(await page.locator('section.empty').textContent()).toContain('[[camera]]');
    expect(await axeFindings(page)).toEqual([]);
  });
}

test('the chosen colour scheme is stored in the browser', async () => {
  hub = await startHub(patterns(1));
  await open('/', { colorScheme: 'dark' });
  const background = (): Promise<string> =>
    page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await background();
  await page.getByRole('button', { name: 'Use light colours' }).click();
  const light = await background();
  expect(light).not.toBe(dark);
  await page.reload();
  await page.getByRole('button', { name: 'Use dark colours' }).waitFor();
  expect(await background()).toBe(light);
});

test('on a phone the wall has two columns, scrolls, and nothing is wider than the screen', async () => {
  hub = await startHub(patterns(20));
  await open('/', PHONE);
  await until(
    'the visible cameras are painted',
    () => wallReport(page),
    (report) => painted(report) >= 6,
  );
  const shape = await page.evaluate(() => {
    const viewport = document.querySelector('camera-wall')?.shadowRoot?.querySelector('.viewport');
    const tiles = [...(viewport?.querySelectorAll('.tile') ?? [])].map(
      (tile) => tile.getBoundingClientRect().left,
    );
    return {
      columns: new Set(tiles).size,
      scrolls: (viewport?.scrollHeight ?? 0) > (viewport?.clientHeight ?? 0),
      wide: document.documentElement.scrollWidth > innerWidth,
    };
  });
  expect(shape).toEqual({ columns: 2, scrolls: true, wide: false });
  expect(await axeFindings(page)).toEqual([]);
  await page.getByRole('button', { name: /^cam3(,|$)/ }).tap();
  await until(
    'one camera is shown',
    () => wallReport(page),
    ({ solo }) => solo === 'cam3',
  );
  await page.getByRole('button', { name: 'All cameras' }).tap();
  await until(
    'the wall is shown again',
    () => wallReport(page),
    ({ solo }) => solo === undefined,
  );
});

test('on a phone a long name is shortened, and the numbers beside it are complete', async () => {
  hub = await startHub(['The-workshop-by-the-old-mill=pattern:?size=320x240&fps=8', ...patterns(9)]);
  await open('/', PHONE);
  const bar = page.locator('camera-wall .bar', { hasText: 'workshop' });
  const labels = await until(
    'its age and its rate are shown',
    () =>
      bar.evaluate((bar) =>
        ['.rate', '.age'].map((part) => {
          const label = bar.querySelector<HTMLElement>(part);
          return {
            text: label?.textContent ?? '',
            truncated: (label?.scrollWidth ?? 0) > (label?.clientWidth ?? 0),
          };
        }),
      ),
    (parts) => parts.every(({ text }) => text !== ''),
  );
  expect(
    labels.map(({ truncated }) => truncated),
    JSON.stringify(labels),
  ).toEqual([false, false]);
});

test('the page of one camera accepts its short and its full name', async () => {
  hub = await startHub(patterns(2));
  for (const room of ['cam2', 'live-cam2']) {
    await open(`/play/live/${room}`);
    const clock = await until(
      `${room} plays`,
      () => readClock(page, 'cam2', 'camera-tile'),
      (value) => value !== undefined,
    );
    expect(Math.abs(clockAge(clock ?? 0))).toBeLessThan(2_000);
    expect(await axeFindings(page)).toEqual([]);
    const watched = (await hub.cameras()).filter(({ viewers }) => viewers > 0).map(({ id }) => id);
    expect(watched).toEqual(['cam2']);
    if (room === 'cam2') await page.context().close();
  }
});

test.each([
  ['', 'worker'],
  ["worker-src 'none'", 'page'],
])('any page can show cameras from /ocelli.js (policy "%s", painted in the %s)', async (policy, painter) => {
  hub = await startHub(patterns(2));
  const html = `<!doctype html><title>Foreign</title><script type="module" src="${hub.url}/ocelli.js"></script>
    <div style="width:400px"><camera-tile camera="cam1"></camera-tile></div><camera-wall></camera-wall>`;
  const foreign = createServer((_, response) => {
    response.setHeader('Content-Type', 'text/html').setHeader('Content-Security-Policy', policy).end(html);
  });
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
  const context = await browser.newContext();
  page = await context.newPage();
  await page.goto(`http://127.0.0.1:${(foreign.address() as AddressInfo).port}`);
  const report = await until(
    'the wall is painted',
    () => wallReport(page),
    (report) => painted(report) === 2,
  );
  expect(report.paintsIn).toBe(painter);
  await until(
    'the tile is painted',
    () => readClock(page, 'cam1', 'camera-tile'),
    (value) => value !== undefined,
  );
  foreign.close();
});

for (const colorScheme of ['dark', 'light'] as const) {
  test(`a wall in a ${colorScheme} page that the hub refuses explains how to allow it`, async () => {
    hub = await startHub(patterns(1));
    const html = `<!doctype html><html lang="en"><meta name="color-scheme" content="dark light"><title>Elsewhere</title>
      <script type="module" src="${hub.url}/ocelli.js"></script><main><h1>Cameras</h1><camera-wall></camera-wall></main>`;
    const foreign = await serve(html);
    const { port } = foreign.address() as AddressInfo;
    const context = await browser.newContext({ colorScheme });
    page = await context.newPage();
    // A host name of this machine that the hub refuses.
    const origin = `http://elsewhere.localhost:${port}`;
    await page.goto(origin);
    const notice = page.locator('camera-wall').getByRole('status');
    await notice.filter({ hasText: 'does not allow pages' }).waitFor({ timeout: 40_000 });
    expect(await notice.textContent()).toBe(
      `This hub does not allow pages from ${origin}. Add this origin to allowed_origins in the hub's configuration.`,
    );
    expect((await wallReport(page)).link).toBe('fallback');
    const brightness = await notice.locator('p').evaluate((element) => {
      const rgb = getComputedStyle(element).backgroundColor.match(/\d+/g) ?? [];
      return Math.max(...rgb.map(Number));
    });
    if (colorScheme === 'dark') expect(brightness).toBeLessThan(100);
    else expect(brightness).toBeGreaterThan(200);
    expect(await axeFindings(page)).toEqual([]);
    await hub.stop();
    await until(
      'the notice disappears after the hub has stopped',
      () => notice.textContent(),
      (text) => text === '',
    );
    foreign.close();
  });
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const overlap = (a: Box, b: Box): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

const within = (a: Box, b: Box): boolean =>
  a.left >= b.left && a.top >= b.top && a.right <= b.right && a.bottom <= b.bottom;

test.each([
  ['a wall of one', '/', 1, 300, 200],
  ['a wall of four', '/', 4, 300, 200],
  ['one camera', '/play/live/broken', 1, 300, 200],
  ['one camera', '/play/live/broken', 1, 200, 240],
  ['one camera', '/play/live/broken', 1, 220, 131],
  ['one camera', '/play/live/broken', 1, 200, 112],
  ['one camera', '/play/live/broken', 1, 300, 101],
  ['one camera', '/play/live/broken', 1, 160, 90],
  ['one camera', '/play/live/broken', 1, 400, 70],
  ['one camera', '/play/live/broken', 1, 96, 54],
])(
  '%s (%s) of %d in %d × %d: the reason of the failure is readable beside Retry',
  async (_, path, count, width, height) => {
    hub = await startHub([...patterns(count - 1), 'broken=rtsp://127.0.0.1:1/']);
    await open(path, { viewport: { width, height } });
    const retry = page.getByRole('button', { name: 'Retry broken' });
    await retry.waitFor({ timeout: 40_000 });
    const layout = await retry.evaluate((button) => {
      const tile = button.closest('.tile');
      const reason = tile?.querySelector<HTMLElement>('.reason');
      const bar = tile?.querySelector('.bar');
      if (!tile || !reason || !bar) throw new Error('a part of the tile is missing');
      const box = (element: Element): Box => {
        const { left, top, right, bottom } = element.getBoundingClientRect();
        return { left, top, right, bottom };
      };
      const headline = tile.querySelector('.headline');
      const { lineHeight } = getComputedStyle(reason);
      return {
        tile: box(tile),
        parts: [reason, button, bar, ...(headline?.checkVisibility() ? [headline] : [])].map(box),
        lines: Math.round(reason.offsetHeight / parseFloat(lineHeight)),
        title: reason.title,
        text: reason.textContent,
        button: button.getBoundingClientRect().height,
      };
    });
    expect(layout.text.length).toBeGreaterThan(3);
    expect(layout.title).toBe(layout.text);
    expect(layout.lines).toBeGreaterThanOrEqual(1);
    if (height <= 200) {
      expect(layout.lines).toBeLessThanOrEqual(2);
      expect(layout.button).toBeLessThanOrEqual(24);
    }
    for (const [index, part] of layout.parts.entries()) {
      expect(within(part, layout.tile), JSON.stringify(layout)).toBe(true);
      for (const other of layout.parts.slice(index + 1))
        expect(overlap(part, other), JSON.stringify(layout)).toBe(false);
    }
  },
);

async function serve(html: string): Promise<Server> {
  const server = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(html));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
