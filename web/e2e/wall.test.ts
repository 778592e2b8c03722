import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  clockAge,
  launch,
  painted,
  readClock,
  setVisibility,
  until,
  wallReport,
  type WallReport,
} from './browser.ts';
import { patterns, startHub, type Hub } from './hub.ts';

let browser: Browser;
let page: Page;
let hub: Hub | undefined;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

afterEach(async () => {
  await page.context().close();
  await hub?.stop();
  hub = undefined;
});

/** Opens the dashboard of a new hub in a new browser profile. Any script error in the page fails the test. */
async function openWall(
  sources: readonly string[],
  options: Parameters<Browser['newContext']>[0] = {},
  prepare?: (page: Page) => unknown,
): Promise<Hub> {
  hub = await startHub(sources);
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  page = await context.newPage();
  page.on('pageerror', (error) => {
    throw error;
  });
  await prepare?.(page);
  await page.goto(hub.url);
  return hub;
}

const camerasWithViewers = async (startedHub: Hub): Promise<string[]> =>
  (await startedHub.cameras()).filter(({ viewers }) => viewers > 0).map(({ id }) => id);

const allPainted = (count: number, minimum = 1): Promise<unknown> =>
  until(
    `${count} cameras are painted`,
    () => wallReport(page),
    (report) => painted(report, minimum) === count,
  );

async function clocksAdvance(count: number): Promise<void> {
  const first = new Map<string, number>();
  for (let index = 1; index <= count; index++) {
    const id = `cam${index}`;
    const value = await until(
      `${id} can be read`,
      () => readClock(page, id),
      (value) => value !== undefined,
    );
    expect(Math.abs(clockAge(value ?? 0)), `the clock in the picture of ${id}`).toBeLessThan(2_000);
    first.set(id, value ?? 0);
  }
  for (const [id, value] of first) {
    await until(
      `${id} advances`,
      () => readClock(page, id),
      (reading) => reading !== undefined && reading !== value,
    );
  }
}

test('sixteen cameras on one page are all painted, and the clocks in their pictures advance', async () => {
  await openWall(patterns(16));
  await allPainted(16);
  expect((await wallReport(page)).paintsIn).toBe('worker');
  await clocksAdvance(16);
  const namedTiles = await page
    .getByRole('listitem')
    .getByRole('button', { name: /^cam\d+, live$/ })
    .count();
  expect(namedTiles).toBe(16);
});

test('a browser without OffscreenCanvas paints in the page', async () => {
  await openWall(patterns(4), {}, (page) =>
    page.addInitScript(() => {
      Reflect.deleteProperty(globalThis, 'OffscreenCanvas');
      Reflect.deleteProperty(HTMLCanvasElement.prototype, 'transferControlToOffscreen');
    }),
  );
  await allPainted(4);
  expect((await wallReport(page)).paintsIn).toBe('page');
  await clocksAdvance(4);
});

test('the wall recovers when the hub restarts', async () => {
  const before = await openWall(patterns(4));
  await allPainted(4, 3);
  await before.stop();
  await until(
    'the disconnection is detected',
    () => wallReport(page),
    ({ link }) => link !== 'open',
  );
  await page
    .getByRole('status')
    .filter({ hasText: /lost|blocked/ })
    .waitFor();
  const stoppedAt = Date.now() * 1000;
  hub = await startHub(patterns(4), before.port);
  await until(
    'newer pictures of all cameras are painted',
    () => wallReport(page),
    ({ link, tiles }) =>
      link === 'open' && Object.values(tiles).every((tile) => (tile?.captureTime ?? 0) > stoppedAt),
  );
});

test('a hidden tab receives no frames, and shows the newest picture when it is visible again', async () => {
  const startedHub = await openWall(patterns(4));
  await allPainted(4);
  await setVisibility(page, 'hidden');
  await until(
    'no camera has a viewer',
    () => camerasWithViewers(startedHub),
    (ids) => ids.length === 0,
  );
  const before = await wallReport(page);
  const visibleAt = Date.now() * 1000;
  await setVisibility(page, 'visible');
  await until(
    'newer pictures are painted',
    () => wallReport(page),
    ({ tiles }) => Object.values(tiles).every((tile) => (tile?.captureTime ?? 0) > visibleAt),
    5_000,
  );
  expect(before.tiles['cam1']?.captureTime).toBeLessThan(visibleAt);
  expect((await camerasWithViewers(startedHub)).length).toBe(4);
});

test('tiles that are scrolled away are not subscribed', async () => {
  const startedHub = await openWall(patterns(30), { viewport: { width: 390, height: 700 } });
  await until(
    'the first are watched',
    () => camerasWithViewers(startedHub),
    (ids) => ids.includes('cam1') && ids.length >= 6,
  );
  expect(await camerasWithViewers(startedHub)).not.toContain('cam30');
  await page.locator('camera-wall').evaluate((wall) => {
    const viewport = wall.shadowRoot?.querySelector('.viewport');
    viewport?.scrollTo(0, viewport.scrollHeight);
  });
  await until(
    'the last are watched instead',
    () => camerasWithViewers(startedHub),
    (ids) => ids.includes('cam30') && !ids.includes('cam1'),
  );
  await until(
    'the last one is painted',
    () => wallReport(page),
    ({ tiles }) => (tiles['cam30']?.painted ?? 0) > 1,
  );
  const clock = await until(
    'it can be read',
    () => readClock(page, 'cam30'),
    (value) => value !== undefined,
  );
  expect(Math.abs(clockAge(clock ?? 0))).toBeLessThan(2_000);
});

test('a camera that fills the window is the only one subscribed, and can be opened and closed by keyboard', async () => {
  const startedHub = await openWall(patterns(4));
  await allPainted(4);
  const focus = (): Promise<string | null | undefined> =>
    page.evaluate(() =>
      document.querySelector('camera-wall')?.shadowRoot?.activeElement?.getAttribute('aria-label'),
    );
  await page.keyboard.press('ArrowRight');
  expect(await focus()).toContain('cam1');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowDown');
  expect(await focus()).toContain('cam4');
  await page.keyboard.press('Enter');
  expect((await wallReport(page)).solo).toBe('cam4');
  await until(
    'only cam4 is watched',
    () => camerasWithViewers(startedHub),
    (ids) => ids.join() === 'cam4',
  );
  await page.keyboard.press('ArrowRight');
  await until(
    'only the next one is watched',
    () => camerasWithViewers(startedHub),
    (ids) => ids.join() === 'cam1',
  );
  await until(
    'it is painted',
    () => readClock(page, 'cam1'),
    (value) => value !== undefined,
  );
  await page.keyboard.press('Escape');
  expect((await wallReport(page)).solo).toBeUndefined();
  expect(await focus()).toContain('cam1');
  await until(
    'all are watched again',
    () => camerasWithViewers(startedHub),
    (ids) => ids.length === 4,
  );
  await page.getByRole('button', { name: /^cam2,/ }).click();
  expect((await wallReport(page)).solo).toBe('cam2');
  await page.getByRole('button', { name: 'All cameras' }).click();
  expect((await wallReport(page)).solo).toBeUndefined();
});

test('a camera in full screen requests its main stream', async () => {
  const subscriptions: string[] = [];
  await openWall(patterns(2), {}, (page) => {
    page.on('websocket', (socket) =>
      socket.on('framesent', ({ payload }) => subscriptions.push(payload.toString())),
    );
  });
  await allPainted(2);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('f');
  await until(
    'it is full screen',
    () => page.evaluate(() => document.fullscreenElement?.localName),
    (name) => name === 'camera-wall',
  );
  const main = '"cameras":["cam1"],"credit":1,"stream":"main"';
  await until(
    'the main stream is requested',
    () => subscriptions,
    (sent) => sent.some((text) => text.includes(main)),
  );
  await page.keyboard.press('f');
  await until(
    'full screen has ended',
    () => page.evaluate(() => document.fullscreenElement === null),
    Boolean,
  );
});

test('Space freezes a picture, whose age continues to count, and resumes it', async () => {
  const startedHub = await openWall(patterns(2));
  await allPainted(2);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Space');
  const tile = page.getByRole('listitem').filter({ hasText: 'cam1' });
  await tile.getByText('Frozen').first().waitFor();
  await until(
    'only the other one is watched',
    () => camerasWithViewers(startedHub),
    (ids) => ids.join() === 'cam2',
  );
  const frozenClock = await readClock(page, 'cam1');
  const ageAtLeast = (minimum: number): Promise<WallReport> =>
    until(
      'the age increases',
      () => wallReport(page),
      ({ tiles }) => (tiles['cam1']?.age ?? 0) > minimum,
    );
  const before = await ageAtLeast(700);
  const later = await ageAtLeast(3_500);
  expect(later.tiles['cam1']).toMatchObject({ painted: before.tiles['cam1']?.painted, frozen: true });
  expect(await readClock(page, 'cam1')).toBe(frozenClock);
  // The age is above the limit for live pictures, but a frozen picture is not marked as stale.
  const age = tile.locator('.age');
  await until(
    'the age is shown',
    () => age.textContent(),
    (text) => /^([4-9]\.\d|\d\d) s$/.test(text ?? ''),
  );
  expect(await age.evaluate((element) => getComputedStyle(element).backgroundColor)).toBe('rgba(0, 0, 0, 0)');
  // Space must not have clicked the focused button.
  expect(later.solo).toBeUndefined();
  await page.keyboard.press('Space');
  await until(
    'the camera resumes',
    () => readClock(page, 'cam1'),
    (value) => value !== frozenClock,
  );
});

test('the opened camera is in the address: a reload keeps it, and Back returns to the wall', async () => {
  await openWall(patterns(2));
  await allPainted(2);
  await page.getByRole('button', { name: /^cam2,/ }).click();
  await page.reload();
  await until(
    'the camera is open again',
    () => wallReport(page),
    ({ solo }) => solo === 'cam2',
  );
  await page.goBack();
  await until(
    'the wall is shown again',
    () => wallReport(page),
    ({ solo }) => solo === undefined,
  );
});

test('an unreachable hub does not start the fallback: the last pictures stay, with their age', async () => {
  const startedHub = await openWall(patterns(2));
  await allPainted(2);
  await startedHub.stop();
  await page.getByRole('status').filter({ hasText: 'was lost' }).waitFor();
  const tile = page.getByRole('listitem').filter({ hasText: 'cam1' });
  await tile.getByText('No connection').waitFor();
  await tile.getByText(/^[4-9]\.\d s old$/).waitFor();
  expect(await page.locator('camera-wall img').count()).toBe(0);
  expect(await readClock(page, 'cam1')).toBeDefined();
});

test('Stop ends all streams, and Start starts them again', async () => {
  const startedHub = await openWall(patterns(3));
  await allPainted(3);
  await page.getByRole('button', { name: 'Stop' }).click();
  await until(
    'no camera has a viewer',
    () => camerasWithViewers(startedHub),
    (ids) => ids.length === 0,
  );
  await page.getByText('Stopped').first().waitFor();
  await page.getByRole('button', { name: 'Start' }).click();
  await until(
    'all are watched',
    () => camerasWithViewers(startedHub),
    (ids) => ids.length === 3,
  );
});

test('a failed camera shows its reason and can be retried', async () => {
  const commands: string[] = [];
  await openWall([...patterns(1), 'broken=rtsp://127.0.0.1:1/'], {}, (page) => {
    page.on('websocket', (socket) =>
      socket.on('framesent', ({ payload }) => commands.push(payload.toString())),
    );
  });
  const tile = page.getByRole('listitem').filter({ hasText: 'broken' });
  const retry = tile.getByRole('button', { name: 'Retry broken' });
  await retry.waitFor({ timeout: 40_000 });
  expect((await tile.locator('.reason').textContent())?.length).toBeGreaterThan(3);
  await retry.focus();
  await page.keyboard.press('Enter');
  await until(
    'a retry is sent',
    () => commands,
    (sent) => sent.includes('{"cmd":"retry","cameras":["broken"]}'),
  );
  await allPainted(1);
});

test('the dashboard has a one-line summary, and a notice only when something is wrong', async () => {
  await openWall(patterns(3));
  await page.getByText('3 cameras · 3 live').waitFor();
  expect((await page.locator('.notice').textContent())?.trim()).toBe('');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor({ state: 'hidden' });
});
