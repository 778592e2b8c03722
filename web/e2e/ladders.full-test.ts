// The two ladders over minutes: a link that is shaped to 300 kbit/s and less and recovers, and decoders that do not respond
// for a while. The link is a network namespace, which needs root.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freshPage, LOCAL_SOURCES } from './account.ts';
import { launch, until } from './browser.ts';
import { startHub, type Hub } from './hub.ts';
import { report, silenceDecoders, untilPlaying, untilStep } from './ladders.ts';
import { quantile } from './native.ts';
import { startRtsp, type RtspServer } from './peers.ts';
import { createLink, type ShapedLink } from './shaped-link.ts';

const FPS = 15;
const isRoot = process.getuid?.() === 0;

let browser: Browser;
let servers: RtspServer[] = [];
let hub: Hub | undefined;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await hub?.stop();
  hub = undefined;
  for (const server of servers) server.stop();
  servers = [];
});

const OPTIONS = ['--fps', String(FPS), '--keys', '30'];
// Noise cannot be compressed, so the stream has the full bitrate.
const NOISE = [...OPTIONS, '--size', '640x360', '--pattern', 'snow', '--bitrate', '1500'];
/** Each of its key frames takes seconds at 200 kbit/s. */
const LARGE = [...OPTIONS, '--size', '640x360', '--pattern', 'snow', '--bitrate', '4000'];

/** Starts a camera, with a substream of 120 kbit/s if wanted. Returns its lines of the configuration. */
async function startCamera(hasSubstream: boolean, command: readonly string[] = []): Promise<string> {
  const main = await startRtsp(hasSubstream ? NOISE : LARGE, command);
  servers.push(main);
  const camera = `[[camera]]\nid = "yard"\nsource = "${main.url('/h264')}"\n`;
  if (!hasSubstream) return camera;
  const small = await startRtsp([...OPTIONS, '--bitrate', '120'], command);
  servers.push(small);
  return `${camera}substream = "${small.url('/small')}"\n`;
}

interface Played {
  readonly fps: number;
  readonly age: number;
}

/** Measures what the tile shows: its rate, and the median of its age. */
async function measure(page: Page, seconds: number): Promise<Played> {
  const before = await report(page);
  const start = performance.now();
  const ages: number[] = [];
  await until(
    'the time has passed',
    async () => ages.push((await report(page))?.age ?? Infinity),
    () => performance.now() - start >= seconds * 1000,
    2 * seconds * 1000,
  );
  const painted = ((await report(page))?.painted ?? 0) - (before?.painted ?? 0);
  return { fps: painted / ((performance.now() - start) / 1000), age: quantile(ages, 0.5) };
}

const text = ({ fps, age }: Played): string => `${fps.toFixed(1)} fps, age ${age.toFixed(0)} ms`;

describe.skipIf(!isRoot)('a link of 300 kbit/s', () => {
  let link: ShapedLink;
  beforeAll(() => (link = createLink()));
  afterAll(() => link.stop());

  async function open(scheme: string, hasSubstream: boolean): Promise<Page> {
    link.setRate(undefined);
    const camera = await startCamera(hasSubstream, link.command);
    const tls = scheme === 'https' ? '[tls]\nmode = "local"\n' : '';
    hub = await startHub([], 0, `${LOCAL_SOURCES}${camera}${tls}`, link);
    const page = await freshPage(browser, { ignoreHTTPSErrors: true });
    await page.goto(`${scheme}://${link.address}:${hub.port}/play/live/yard`);
    expect(await page.evaluate(() => isSecureContext)).toBe(scheme === 'https');
    await untilPlaying(page, 640);
    return page;
  }

  test.each(['https', 'http'])(
    'over %s: the substream, below that key frames, and back without a person',
    { timeout: 240_000 },
    async (scheme) => {
      const page = await open(scheme, true);
      const full = await measure(page, 5);
      link.setRate(300);
      let start = performance.now();
      const took = (): string => `${((performance.now() - start) / 1000).toFixed(1)} s`;
      expect((await untilStep(page, 'sub', 15_000))?.label).toBe('Slow network: smaller picture');
      const down = took();
      await untilPlaying(page, 160);
      const smaller = await measure(page, 10);
      expect(smaller.fps).toBeGreaterThan(FPS * 0.7);
      expect(smaller.age).toBeLessThan(1_000);
      // Attempts to step up fail, and are short.
      const times: number[] = [];
      const end = performance.now() + 60_000;
      let at = performance.now();
      await until(
        'a minute has passed',
        async () => {
          const tile = await report(page);
          const now = performance.now();
          if ((tile?.age ?? Infinity) > 2_500) times.push(now - at);
          at = now;
        },
        () => performance.now() > end,
        70_000,
      );
      const old = times.reduce((sum, time) => sum + time, 0);
      expect(old, 'ms with an old picture, of a minute with two attempts').toBeLessThan(20_000);
      link.setRate(60);
      await untilStep(page, 'keys', 60_000);
      const keys = await measure(page, 20);
      expect(keys.fps).toBeGreaterThan(0.2);
      link.setRate(undefined);
      start = performance.now();
      await untilStep(page, 'full', 200_000);
      await untilPlaying(page, 640);
      const up = took();
      const again = await measure(page, 5);
      expect(again.fps).toBeGreaterThan(FPS * 0.7);
      process.stdout.write(
        `${scheme}: full ${text(full)}; 300 kbit/s: down after ${down}, ${text(smaller)}, ` +
          `${(old / 1000).toFixed(1)} s of the next minute older than 2.5 s; 60 kbit/s: ${text(keys)}; ` +
          `full again after ${up}, ${text(again)}\n`,
      );
    },
  );

  test('a camera without a substream: key frames, MPEG-1, and back', { timeout: 240_000 }, async () => {
    const page = await open('https', false);
    link.setRate(200);
    const start = performance.now();
    const steps: string[] = [];
    await until(
      'it is MPEG-1',
      async () => {
        const tile = await report(page);
        if (tile && tile.step !== steps.at(-1)) steps.push(tile.step);
        return tile;
      },
      (tile) => tile?.codec === 'mpeg1',
      90_000,
    );
    expect(steps).toEqual(['full', 'keys', 'mpeg1']);
    expect((await report(page))?.label).toContain('simpler video');
    const down = ((performance.now() - start) / 1000).toFixed(1);
    link.setRate(undefined);
    const fastAt = performance.now();
    await untilStep(page, 'full', 120_000);
    await untilPlaying(page, 640);
    const up = ((performance.now() - fastAt) / 1000).toFixed(1);
    process.stdout.write(`without a substream: MPEG-1 after ${down} s, full again after ${up} s\n`);
  });
});

test('decoders that respond again are used again, one step at a time', { timeout: 300_000 }, async () => {
  hub = await startHub([], 0, `${LOCAL_SOURCES}${await startCamera(true)}`);
  const page = await freshPage(browser);
  await page.goto(`${hub.url}/play/live/yard`);
  await untilPlaying(page, 640);
  await silenceDecoders(page, true);
  await untilStep(page, 'jpeg', 30_000);
  await silenceDecoders(page, false);
  const steps: string[] = [];
  await until(
    'it is at the top',
    async () => {
      const tile = await report(page);
      if (tile && tile.step !== steps.at(-1)) steps.push(tile.step);
      return tile;
    },
    (tile) => tile?.step === 'full',
    220_000,
  );
  expect(steps).toEqual(['jpeg', 'sub', 'software', 'full']);
  await untilPlaying(page, 640);
});
