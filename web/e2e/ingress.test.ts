// Cameras that push, in a real browser: a key is made and shown once, a phone's page pushes with it, its card lives.
import { spawn } from 'node:child_process';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { findings, launch, until } from './browser.ts';
import { freshPage, PHONE, setUp, tooWide } from './door.ts';
import { HUB, startHub, type Hub } from './hub.ts';

let browser: Browser;
let hub: Hub;

beforeAll(async () => {
  // Chromium's own stand-in for a camera: a green picture with a running clock.
  browser = await launch({ flags: ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'] });
});

afterAll(() => browser.close());

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await hub.stop();
});

/** Makes a key for a room; the key itself, which the page shows this once. */
async function makeKey(page: Page, room: string): Promise<string> {
  await page.goto(`${hub.url}/settings#ingress/add`);
  await page.getByLabel('Room').fill(room);
  await page.getByRole('button', { name: 'Make key' }).click();
  await page.getByText('Waiting for the first frame…').waitFor();
  return page.getByLabel(`The key of “${room}”`).getByRole('textbox').inputValue();
}

const card = (page: Page, room: string): ReturnType<Page['locator']> =>
  page.getByRole('list', { name: 'Cameras that push' }).getByRole('listitem').filter({ hasText: room });

/** Whether a picture in it has come, and is one. */
const shown = (page: Page, label: string): Promise<boolean> =>
  page
    .getByRole('img', { name: label })
    .evaluate((img: HTMLImageElement) => img.complete && img.naturalWidth > 0);

test('a key is made, a phone pushes with it, its card lives, and the key is revoked', async () => {
  hub = await startHub([], 0, '[app.live]\npublic_playback = false\n');
  const page = await freshPage(browser);
  await setUp(page, hub);
  const key = await makeKey(page, 'door');
  expect(key).toMatch(/^wsk_[0-9a-f]{40,}$/);
  const told = await page.locator('.where').innerText();
  const at = new URL(hub.url);
  for (const line of ['HUB_HOST "127.0.0.1"', 'HUB_ROOM "door"', `HUB_KEY "${key}"`, `HUB_PORT ${at.port}`]) {
    expect(told).toContain(line);
  }
  expect([await findings(page), await tooWide(page)]).toEqual([[], false]);

  const phone = await freshPage(browser, { ...PHONE, colorScheme: 'dark' });
  await phone.goto(`${hub.url}/publish#app=live&room=door&key=${key}`);
  expect(phone.url(), 'the key leaves the address').toBe(`${hub.url}/publish`);
  expect([await findings(phone), await tooWide(phone)]).toEqual([[], false]);
  await phone.getByRole('button', { name: 'Start the camera' }).click();
  await phone.getByText('Live as live-door').waitFor();
  expect([await findings(phone), await tooWide(phone)]).toEqual([[], false]);

  await page.getByText('The first frame is there').waitFor();
  await until('the first picture', () => shown(page, 'What door shows'), Boolean);
  await until('the card’s picture', () => shown(page, 'The last picture of door'), Boolean);
  await card(page, 'door')
    .getByText(/\d fps · up \d+ s/)
    .waitFor();
  await page.getByText('1 of 1 connected').waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
  expect(await page.content(), 'shown once').not.toContain(key);
  expect([await findings(page), await tooWide(page)]).toEqual([[], false]);

  await page.getByRole('button', { name: 'Revoke the key of door' }).click();
  const dialog = page.getByRole('dialog', { name: 'Revoke the key of “door”?' });
  await dialog.getByRole('button', { name: 'Keep' }).click();
  await card(page, 'door').waitFor();
  await page.getByRole('button', { name: 'Revoke the key of door' }).click();
  await dialog.getByRole('button', { name: 'Revoke key' }).click();
  await page.getByText('No keys yet').waitFor();
  await phone.getByText(/revoked/i).waitFor();
  expect(hub.said.join('\n')).not.toContain(key);
});

test('the line to try a key works, and the limits of an app count at once', async () => {
  hub = await startHub([]);
  const page = await freshPage(browser);
  await setUp(page, hub);
  const key = await makeKey(page, 'bench');
  const line = await page.getByText(`OCELLI_KEY=${key}`).innerText();
  const [, command = ''] = line.trim().split(' ocelli ');
  const device = spawn(HUB, command.split(' '), { env: { ...process.env, OCELLI_KEY: key } });
  const ended = new Promise((resolve) => device.once('exit', resolve));
  try {
    await page.getByText('The first frame is there').waitFor();
    await page.goto(`${hub.url}/settings#apps`);
    await page.getByText('Cameras that push: 15 frames a second').click();
    const rules = page.getByRole('form', { name: 'Cameras that push to live' });
    await rules.getByLabel('Frames a second').fill('1');
    expect([await findings(page), await tooWide(page)]).toEqual([[], false]);
    await rules.getByRole('button', { name: 'Save' }).click();
    await rules.getByText('Saved').waitFor();
    await page.goto(`${hub.url}/settings#ingress`);
    await card(page, 'bench')
      .getByText(/Dropped: \d+ above the app's rate/)
      .waitFor();
  } finally {
    device.kill('SIGINT');
    await ended;
  }
  await card(page, 'bench').getByText('away').waitFor();
});

test('a page that may have no camera, or a wrong key, says what would help', async () => {
  hub = await startHub([]);
  const page = await freshPage(browser, PHONE);
  await page.goto(`${hub.url}/publish#room=door&key=wsk_wrong`);
  await page.getByRole('button', { name: 'Start the camera' }).click();
  await page.getByText(/wrong|revoked/i).waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByRole('heading', { name: 'Be a camera' }).waitFor();

  const plain = await freshPage(browser, PHONE);
  await plain.addInitScript(() => {
    Object.defineProperty(navigator, 'mediaDevices', { value: undefined });
    Object.defineProperty(window, 'isSecureContext', { value: false });
  });
  await plain.goto(`${hub.url}/publish`);
  await plain.getByText('encrypted pages only').waitFor();
});
