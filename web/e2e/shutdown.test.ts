// Shutdown of the hub with real browsers connected.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, painted, until, wallReport } from './browser.ts';
import { childrenOf, isRunning, patterns, startHub } from './hub.ts';

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s shuts down the hub within 2 s with ten browsers connected, and no child process is left',
  async (signal) => {
    const hub = await startHub([...patterns(3), 'film=ffmpeg:lavfi:testsrc2=size=320x240:rate=10']);
    const contexts = await Promise.all(Array.from({ length: 10 }, () => browser.newContext()));
    const pages = await Promise.all(contexts.map((context) => context.newPage()));
    await Promise.all(pages.map((page) => page.goto(hub.url)));
    for (const page of pages) {
      await until(
        'a page shows all four cameras',
        () => wallReport(page),
        (report) => painted(report) === 4,
      );
    }
    const started = childrenOf(hub.pid);
    expect(started.length, 'ffmpeg runs').toBeGreaterThan(0);
    const requestedAt = Date.now();
    expect(await hub.end(signal)).toBe(0);
    expect(Date.now() - requestedAt).toBeLessThan(2_000);
    expect(started.filter(isRunning)).toEqual([]);
    await Promise.all(contexts.map((context) => context.close()));
  },
);
