// The table in the guide to video: how each browser plays each codec, measured. With UPDATE_GUIDE=1 the table is written
// instead of compared.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshPage, LOCAL_SOURCES } from './account.ts';
import { launch, until } from './browser.ts';
import { startHub, type Hub } from './hub.ts';
import { startNameProxy, type NameProxy } from './name-proxy.ts';
import { HOST, RESOLVE_HOST } from './native.ts';
import { startRtsp, type RtspServer } from './peers.ts';
import { startFirefox, startWebKit, type WebDriverBrowser } from './webdriver.ts';

const GUIDE = fileURLToPath(new URL('../../docs/guide/video.md', import.meta.url));
const BEGIN = '<!-- measured: e2e/video-guide.full-test.ts -->\n\n';
const END = '\n<!-- end -->';
const HEAD = '| browser | page | H.264 | H.264 with B-frames | H.265 |\n|---|---|---|---|---|\n';
const FPS = 15;
const CAMERAS = ['h264', 'bframes', 'h265'];

type Driven = Pick<WebDriverBrowser, 'open' | 'run' | 'close'>;

async function startChromium(): Promise<Driven> {
  const browser = await launch({ flags: [RESOLVE_HOST] });
  const page = await freshPage(browser);
  return {
    open: async (url) => {
      await page.goto(url);
    },
    run: (body, ...args) => page.evaluate(`(async (...args) => {${body}})(...${JSON.stringify(args)})`),
    close: () => browser.close(),
  };
}

const BROWSERS: readonly (readonly [string, () => Promise<Driven>])[] = [
  ['Chromium', startChromium],
  ['Firefox', () => startFirefox({ 'network.dns.forceResolve': '127.0.0.1' })],
  ['WebKitGTK', () => startWebKit(proxy.port)],
];

let rtsp: RtspServer;
let hub: Hub;
/** WebKitGTK cannot be made to resolve a name. */
let proxy: NameProxy;

beforeAll(async () => {
  rtsp = await startRtsp(['--fps', String(FPS), '--size', '320x180', '--keys', '15']);
  const sources = CAMERAS.map((mount) => `${mount}=${rtsp.url(`/${mount}`)}`);
  hub = await startHub(sources, 0, `${LOCAL_SOURCES}allowed_hosts = ["${HOST}"]\n`);
  proxy = await startNameProxy(hub.port);
});

afterAll(async () => {
  await proxy.stop();
  await hub.stop();
  rtsp.stop();
});

/** The state of each tile, and whether an element plays in it. */
const STATES = `
  const wall = document.querySelector('camera-wall');
  const tiles = [...(wall?.shadowRoot.querySelectorAll('.tile') ?? [])];
  return (wall?.cameras ?? []).map(({ id }, index) => ({
    ...wall.tileState(id),
    id,
    isElement: tiles[index].querySelector('video.playing') !== null,
  }));`;

interface State {
  readonly id: string;
  readonly codec?: string;
  readonly codecReason?: string;
  readonly painted?: number;
  readonly isElement: boolean;
}

/** How the page that is open plays each camera. */
async function measure(browser: Driven): Promise<string[]> {
  const states = await until(
    'all cameras play, each in its final form',
    async () => (await browser.run(STATES)) as State[],
    (all) =>
      all.length === CAMERAS.length &&
      all.every(({ codec, codecReason, painted = 0 }) =>
        codec === 'jpeg' ? painted > 5 && codecReason?.startsWith('because') === true : painted > 2 * FPS,
      ),
    40_000,
  );
  return CAMERAS.map((camera) => {
    const state = states.find(({ id }) => id === camera);
    if (state?.codec === 'jpeg') return 'JPEG';
    return state?.isElement === true ? 'elements' : 'decoders';
  });
}

test('the table in the guide is what browsers do', { timeout: 240_000 }, async () => {
  const rows: string[] = [];
  for (const [name, start] of BROWSERS) {
    const browser = await start();
    try {
      await browser.open(`${hub.url}/`);
      rows.push([name, 'https or `localhost`', ...(await measure(browser))].join(' | '));
      await browser.open(`http://${HOST}:${hub.port}/`);
      expect(await browser.run('return isSecureContext')).toBe(false);
      rows.push([name, 'http', ...(await measure(browser))].join(' | '));
    } finally {
      await browser.close();
    }
  }
  const table = HEAD + rows.map((row) => `| ${row} |\n`).join('');
  const guide = readFileSync(GUIDE, 'utf8');
  const [before, rest = ''] = guide.split(BEGIN);
  const [documented, after] = rest.split(END);
  if (process.env['UPDATE_GUIDE']) writeFileSync(GUIDE, `${before}${BEGIN}${table}${END}${after}`);
  else expect(documented).toBe(table);
});
