// The age of native video over two minutes, read from the pixels: the camera paints its clock into each picture.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshPage, LOCAL_SOURCES } from './account.ts';
import { launch, until, wallReport } from './browser.ts';
import { startHub, type Hub } from './hub.ts';
import { growth, quantile, untilSteady } from './native.ts';
import { startRtsp, type RtspServer } from './peers.ts';

const FPS = 15;
const MINUTES = 2;
/** The camera paints the time in tenths of a second as one of 16 shades of grey, so it repeats after 1.6 s. */
const SHADES = 16;
const SHADE_MS = 100;

let browser: Browser;
let rtsp: RtspServer;
let hub: Hub;

beforeAll(async () => {
  browser = await launch();
  rtsp = await startRtsp(['--fps', String(FPS), '--size', '640x360', '--keys', '30']);
  hub = await startHub([`clock=${rtsp.url('/clock')}`], 0, LOCAL_SOURCES);
});

afterAll(async () => {
  await browser.close();
  await hub.stop();
  rtsp.stop();
});

/** A longer reading says little about the age, because the time in it is part of the result; ms. */
const LONG_READING = 200;

/**
 * The age in ms, modulo 1.6 s, of the picture on the screen: the time when its pixels have been read, minus its own.
 * Undefined if the reading took too long.
 */
const ageFromPixels = (page: Page): Promise<number | undefined> =>
  page.evaluate(
    async ([shades, shadeMs, longReading]) => {
      interface Wall extends HTMLElement {
        readTile(id: string): Promise<{ readonly data: Uint8ClampedArray } | undefined>;
      }
      const start = Date.now();
      const pixels = await document.querySelector<Wall>('camera-wall')?.readTile('clock');
      const now = Date.now();
      if (!pixels || now - start > longReading) return undefined;
      const middle = Math.floor(pixels.data.length / 8) * 4;
      const shade = Math.floor((pixels.data[middle] ?? 0) / 16);
      const period = shades * shadeMs;
      return (((now - shade * shadeMs) % period) + period) % period;
    },
    [SHADES, SHADE_MS, LONG_READING] as const,
  );

test(
  'the age, read from the pixels over two minutes, stays below 1 s and does not grow',
  { timeout: (MINUTES + 1) * 60_000 },
  async () => {
    const page = await freshPage(browser);
    await page.goto(hub.url);
    await untilSteady(page, ['clock'], FPS);
    const before = (await wallReport(page)).tiles['clock']?.painted ?? 0;
    const ages: number[] = [];
    let readings = 0;
    const started = performance.now();
    const painted = await until(
      'two minutes of pictures are painted',
      async () => {
        const age = await ageFromPixels(page);
        readings += 1;
        if (age !== undefined) ages.push(age);
        return ((await wallReport(page)).tiles['clock']?.painted ?? 0) - before;
      },
      (count) => count >= MINUTES * 60 * FPS,
      (MINUTES + 0.5) * 60_000,
    );
    const fps = (painted * 1000) / (performance.now() - started);
    const third = Math.floor(ages.length / 3);
    process.stdout.write(
      `age from pixels over ${MINUTES} minutes: p50 ${quantile(ages, 0.5).toFixed(0)} ms, ` +
        `p99 ${quantile(ages, 0.99).toFixed(0)} ms, max ${quantile(ages, 1).toFixed(0)} ms; p50 of the first third ` +
        `${quantile(ages.slice(0, third), 0.5).toFixed(0)} ms, of the last ` +
        `${quantile(ages.slice(-third), 0.5).toFixed(0)} ms; ${fps.toFixed(1)} fps; ${ages.length} of ${readings} readings\n`,
    );
    expect(ages.length).toBeGreaterThan(Math.max(MINUTES * 60, readings * 0.8));
    // Ages repeat after 1.6 s, but an age that grows passes through this range. A busy machine pauses now and then.
    expect(quantile(ages, 0.99)).toBeLessThan(1_000);
    expect(growth(ages)).toBeLessThan(100);
    expect(fps).toBeGreaterThan(FPS * 0.9);
  },
);
