// Sound from an RTSP server to the loudspeaker: a flash and a beep of the same moment, seen and heard in Chromium and
// Firefox, on secure pages and over plain http.
import { existsSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { axeFindings, launch, setVisibility, until } from './browser.ts';
import { freshPage, LOCAL_SOURCES } from './account.ts';
import { startHub, type Hub } from './hub.ts';
import { HOST, quantile, RESOLVE_HOST } from './native.ts';
import { startRtsp, type RtspServer } from './peers.ts';
import { soundLag, startSoundPages, type SoundPages, type SoundReport } from './sound-page.ts';
import { startFirefox } from './webdriver.ts';

const BEEPS = 6;
/** How far apart picture and sound may be; ms. */
const MAX_LAG = 100;
/** As browsers with a window do by default. */
const DEMAND_GESTURE = '--autoplay-policy=document-user-activation-required';
/** Firefox makes no sound without a device, such as a null sink of PulseAudio. Chromium needs none. */
const HAS_DEVICE = existsSync('/dev/snd') || process.env['PULSE_SERVER'] !== undefined;

let browser: Browser;
let rtsp: RtspServer;
let hub: Hub;
let pages: SoundPages;

beforeAll(async () => {
  browser = await launch({ flags: [RESOLVE_HOST, DEMAND_GESTURE] });
  rtsp = await startRtsp(['--fps', '25', '--size', '320x240', '--keys', '25']);
  const sources = [
    `flash=${rtsp.url('/flash')}`,
    `aac=${rtsp.url('/flash-aac')}`,
    `mute=${rtsp.url('/h264')}`,
  ];
  hub = await startHub(sources, 0, `${LOCAL_SOURCES}allowed_hosts = ["${HOST}"]\n`);
  pages = await startSoundPages(hub.port);
});

afterAll(async () => {
  pages.close();
  await browser.close();
  await hub.stop();
  rtsp.stop();
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});

const tileOf = (camera: string): string =>
  `<camera-tile camera="${camera}" watched="${camera}" style="width: 240px"></camera-tile>`;
const wallOf = (camera: string): string =>
  `<camera-wall watched="${camera}" style="width: 240px; height: 420px"></camera-wall>`;
const report = (page: Page): Promise<SoundReport> =>
  page.evaluate(() => (globalThis as unknown as { soundReport(): SoundReport }).soundReport());

/** Waits until picture and sound are together, and stay so for some beeps. Prints by how much they are not. */
async function expectTogether(name: string, read: () => Promise<SoundReport>): Promise<SoundReport> {
  const lags = (report: SoundReport): number[] => soundLag(report).slice(-BEEPS);
  const middle = (report: SoundReport): number => quantile(lags(report), 0.5);
  // The hub learns how the clocks of both streams differ some seconds after their start.
  const report = await until(
    'picture and sound are together',
    read,
    (report) => lags(report).length === BEEPS && Math.abs(middle(report)) < MAX_LAG,
    60_000,
  );
  const [least, most] = [0, 1].map((part) => quantile(lags(report), part).toFixed(0));
  process.stdout.write(
    `${name}: sound after picture ${least} / ${middle(report).toFixed(0)} / ${most} ms (least, median, most of ` +
      `${BEEPS}, after ${soundLag(report).length}); picture ${report.state?.paintedAge.toFixed(0)} ms old\n`,
  );
  return report;
}

test.each([
  ['G.711, secure page', '127.0.0.1', 'flash', 8_000],
  ['AAC, secure page', '127.0.0.1', 'aac', 48_000],
  ['G.711, plain http', HOST, 'flash', 8_000],
  ['AAC, plain http', HOST, 'aac', 48_000],
] as const)(
  'Chromium, %s: picture and sound are together',
  { timeout: 120_000 },
  async (name, host, camera, rate) => {
    const page = await freshPage(browser);
    await page.goto(pages.url(host, tileOf(camera)));
    const button = page.getByRole('button', { name: `Sound of ${camera}` });
    await button.waitFor();
    expect(await button.getAttribute('aria-pressed')).toBe('false');
    await until(
      'the picture is native',
      () => report(page),
      ({ state }) => state?.codec === 'h264',
    );
    await button.click();
    expect(await button.getAttribute('aria-pressed')).toBe('true');
    const {
      state,
      secure,
      rate: played,
    } = await expectTogether(`Chromium ${browser.version()}, ${name}`, () => report(page));
    expect([state?.sound, secure, played]).toEqual(['on', host === '127.0.0.1', rate]);
  },
);

/** Counts the units of sound that reach the page, by camera. With `reset` it starts anew. */
async function countSound(page: Page): Promise<(reset?: boolean) => Promise<Record<string, number>>> {
  await page.addInitScript(() => {
    const counts: Record<string, number> = {};
    const scope = globalThis as unknown as { soundCounts: typeof counts };
    scope.soundCounts = counts;
    const NativeWorker = Worker;
    // The painter's worker hands units of sound to the page.
    globalThis.Worker = class extends NativeWorker {
      constructor(...args: ConstructorParameters<typeof NativeWorker>) {
        super(...args);
        this.addEventListener(
          'message',
          ({ data }: MessageEvent<{ kind: string; unit?: { camera: string } }>) => {
            if (data.kind === 'sound' && data.unit)
              scope.soundCounts[data.unit.camera] = (scope.soundCounts[data.unit.camera] ?? 0) + 1;
          },
        );
      }
    };
  });
  return (reset = false) =>
    page.evaluate((isReset) => {
      const scope = globalThis as unknown as { soundCounts: Record<string, number> };
      if (isReset) scope.soundCounts = {};
      return scope.soundCounts;
    }, reset);
}

test('sound is remembered, waits for a click after a reload, and goes on while the page is hidden', async () => {
  const page = await freshPage(browser);
  const units = await countSound(page);
  await page.goto(pages.url(HOST, wallOf('flash')));
  const flash = page.getByRole('button', { name: 'Sound of flash' });
  const aac = page.getByRole('button', { name: 'Sound of aac' });
  await flash.waitFor();
  await aac.waitFor();
  // A camera without sound has no button.
  await page.locator('.tile', { hasText: 'mute' }).waitFor();
  expect(await page.getByRole('button', { name: /^Sound of/ }).count()).toBe(2);
  expect(await units()).toEqual({});
  await flash.click();
  const grows = (camera: string): Promise<unknown> =>
    until(`units of ${camera} come`, units, (counts) => (counts[camera] ?? 0) > 10);
  await grows('flash');
  await setVisibility(page, 'hidden');
  await units(true);
  await grows('flash');
  await setVisibility(page, 'visible');
  // One camera at a time.
  await aac.focus();
  await page.keyboard.press('m');
  await units(true);
  await grows('aac');
  expect(await flash.getAttribute('aria-pressed')).toBe('false');
  expect(await aac.getAttribute('aria-pressed')).toBe('true');
  await units(true);
  await grows('aac');
  expect((await units()).flash ?? 0).toBe(0);
  expect(await axeFindings(page)).toEqual([]);
  // In another tab, which the person has not used yet.
  const tab = await page.context().newPage();
  await page.close();
  // Playwright's own calls count as use of the page, so the page says itself what it shows.
  const waits = tab.waitForEvent('console', (message) => message.text() === 'sound is waiting');
  await tab.goto(pages.url(HOST, wallOf('aac')));
  await waits;
  const sound = tab.getByRole('button', { name: /^Sound of aac/ });
  expect(await sound.getAttribute('aria-label')).toBe('Sound of aac, waiting for a click');
  await tab.mouse.click(1200, 780);
  await sound.and(tab.locator('[data-state=on]')).waitFor();
  await sound.focus();
  await tab.keyboard.press('m');
  await sound.and(tab.locator('[data-state=muted]')).waitFor();
  await tab.reload();
  await sound.waitFor();
  expect(await sound.getAttribute('aria-pressed')).toBe('false');
});

test.skipIf(!HAS_DEVICE).each([
  ['G.711', 'flash'],
  ['AAC', 'aac'],
])(
  'Firefox, %s over plain http: picture and sound are together',
  { timeout: 120_000 },
  async (name, camera) => {
    const firefox = await startFirefox({ 'network.dns.forceResolve': '127.0.0.1' });
    try {
      await firefox.open(pages.url(HOST, tileOf(camera)));
      const read = async (): Promise<SoundReport> =>
        JSON.parse(String(await firefox.run('return JSON.stringify(window.soundReport())'))) as SoundReport;
      const place = await until(
        'the button is shown',
        () =>
          firefox.run(`
          const button = document.querySelector('camera-tile').shadowRoot.querySelector('.sound');
          const { x, y, width, height } = button.getBoundingClientRect();
          return width > 0 ? [x + width / 2, y + height / 2] : null;`),
        (found) => Array.isArray(found),
        40_000,
      );
      const [x = 0, y = 0] = place as number[];
      await firefox.click(x, y);
      const { state, secure } = await expectTogether(`Firefox ${firefox.version}, ${name}, plain http`, read);
      expect([state?.sound, secure]).toEqual(['on', false]);
    } finally {
      await firefox.close();
    }
  },
);
