// The attributes `hub` and `token`, which work the same way on every element.
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launch, painted, readClock, until, wallReport } from './browser.ts';
import { startHub, type Hub } from './hub.ts';
import { report, samplesPort } from './series.ts';

const ADMIN = 'sk_0123456789abcdefghijABCDEFGHIJ';
const camera = (id: string): string => `${id}=pattern:?size=320x240&fps=8`;

let browser: Browser;
let server: Server;
let page: Page;
const hubs: Hub[] = [];
/** The URLs of the page's sockets in the order in which they were opened. */
let sockets: string[] = [];

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

afterEach(async () => {
  await page.context().close();
  server.close();
  await Promise.all(hubs.splice(0).map((hub) => hub.stop()));
});

async function start(cameras: readonly string[], config = ''): Promise<Hub> {
  process.env['OCELLI_ADMIN_TOKEN'] = ADMIN;
  try {
    const hub = await startHub(cameras.map(camera), 0, config);
    hubs.push(hub);
    return hub;
  } finally {
    delete process.env['OCELLI_ADMIN_TOKEN'];
  }
}

/** Opens a page of another origin with all elements and no `hub` attribute. Its scripts are served by this hub. */
async function open(hub: Hub): Promise<void> {
  const html = `<!doctype html><title>Elsewhere</title>
    <script type="module" src="${hub.url}/ocelli.js"></script>
    <script type="module" src="${hub.url}/plot.js"></script>
    <div style="width: 400px"><camera-tile camera="cam1"></camera-tile></div>
    <camera-wall></camera-wall>
    <series-plot style="height: 300px"></series-plot>`;
  server = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(html));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  page = await (await browser.newContext()).newPage();
  sockets = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

const setAll = (name: string, value: string): Promise<void> =>
  page.evaluate(
    ([name, value]) => {
      for (const element of document.querySelectorAll('camera-wall, camera-tile, series-plot'))
        element.setAttribute(name, value);
    },
    [name, value] as const,
  );

const wallShows = (ids: readonly string[]): Promise<unknown> =>
  until(
    `the wall shows ${ids.join(' and ')}`,
    () => wallReport(page),
    (wall) => Object.keys(wall.tiles).join() === ids.join() && painted(wall) === ids.length,
  );

const plotShows = (name: string, other: string): Promise<unknown> =>
  until(
    `the plot shows ${name}`,
    () => report(page),
    ({ series }) =>
      series.some((plotted) => plotted.name === name && plotted.ys.length === 1) &&
      !series.some((plotted) => plotted.name === other),
  );

async function sendSample(hub: Hub, name: string): Promise<void> {
  const socket = connect(await samplesPort(hub), '127.0.0.1');
  await new Promise((resolve) => socket.end(`${name}\n${Date.now()} 1\n`, () => resolve(undefined)));
}

test('every element uses the hub that served its script unless its attribute sets another', async () => {
  const telemetry = '[telemetry]\ntcp = "127.0.0.1:0"\nws = ""\n';
  const first = await start(['cam1', 'cam2'], telemetry);
  const second = await start(['cam1', 'barn', 'yard'], telemetry);
  await sendSample(first, 'first');
  await sendSample(second, 'second');
  await open(first);
  await wallShows(['cam1', 'cam2']);
  await plotShows('first', 'second');
  await until(
    'the tile is painted',
    () => readClock(page, 'cam1', 'camera-tile'),
    (value) => value !== undefined,
  );

  await setAll('hub', second.url);
  await wallShows(['cam1', 'barn', 'yard']);
  await plotShows('second', 'first');
  await until(
    'the first hub has no viewers left',
    () => first.cameras(),
    (cameras) => cameras.every(({ viewers }) => viewers === 0),
  );
  await until(
    'the tile is painted again',
    () => readClock(page, 'cam1', 'camera-tile'),
    (value) => value !== undefined,
  );
});

test('a token gives access to private cameras, even if it is set later', async () => {
  const hub = await start(['cam1', 'cam2'], '[app.live]\npublic_playback = false\n');
  const headers = { Authorization: `Bearer ${ADMIN}` };
  const response = await fetch(`${hub.url}/api/v1/apps/live/play-token/cam1`, { headers });
  const { data } = (await response.json()) as { data: { token: string } };
  await open(hub);
  await until(
    'the wall has an empty camera list',
    () =>
      page.evaluate(() => document.querySelector<HTMLElement & { listed: boolean }>('camera-wall')?.listed),
    (listed) => listed === true,
  );
  expect((await wallReport(page)).tiles).toEqual({});

  await setAll('token', data.token);
  await wallShows(['cam1']);
  await until(
    'the tile is painted',
    () => readClock(page, 'cam1', 'camera-tile'),
    (value) => value !== undefined,
  );
  await until(
    'each kind of socket includes the token',
    () => sockets.filter((url) => new URL(url).searchParams.get('token') === data.token),
    (matching) =>
      ['/ws/cameras', '/ws/series'].every((path) => matching.some((url) => new URL(url).pathname === path)),
  );
});
