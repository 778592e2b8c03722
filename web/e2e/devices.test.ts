// Devices that push, in a real browser: creating a key, pushing from a phone's page, the device's card.
import { spawn } from 'node:child_process';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { axeFindings, launch, until } from './browser.ts';
import { freshPage, PHONE, setUp, overflows } from './account.ts';
import { HUB, startHub, type Hub } from './hub.ts';

let browser: Browser;
let hub: Hub;

beforeAll(async () => {
  // Chromium's fake camera: a green picture with a running clock.
  browser = await launch({ flags: ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'] });
});

afterAll(() => browser.close());

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await hub.stop();
});

/** Creates a key for a room. Returns the key, which the page shows only once. */
async function createKey(page: Page, room: string): Promise<string> {
  await page.goto(`${hub.url}/settings#ingress/add`);
  await page.getByLabel('Room').fill(room);
  await page.getByRole('button', { name: 'Create key' }).click();
  await page.getByText('Waiting for the first picture…').waitFor();
  return page.getByLabel(`Key for “${room}”`).getByRole('textbox').inputValue();
}

const card = (page: Page, room: string): ReturnType<Page['locator']> =>
  page.getByRole('list', { name: 'Devices' }).getByRole('listitem').filter({ hasText: room });

/** Whether the image has loaded a picture. */
const isLoaded = (page: Page, label: string): Promise<boolean> =>
  page
    .getByRole('img', { name: label })
    .evaluate((img: HTMLImageElement) => img.complete && img.naturalWidth > 0);

test('a key is created, a phone pushes with it, its card updates, and the key is revoked', async () => {
  hub = await startHub([], 0, '[app.live]\npublic_playback = false\n');
  const page = await freshPage(browser);
  await setUp(page, hub);
  const key = await createKey(page, 'door');
  expect(key).toMatch(/^wsk_[0-9a-f]{40,}$/);
  const text = await page.locator('.new-key').innerText();
  const address = new URL(hub.url);
  for (const line of [
    'HUB_HOST "127.0.0.1"',
    'HUB_ROOM "door"',
    `HUB_KEY "${key}"`,
    `HUB_PORT ${address.port}`,
  ]) {
    expect(text).toContain(line);
  }
  expect([await axeFindings(page), await overflows(page)]).toEqual([[], false]);

  const phone = await freshPage(browser, { ...PHONE, colorScheme: 'dark' });
  await phone.goto(`${hub.url}/publish#app=live&room=door&key=${key}`);
  expect(phone.url(), 'the key is removed from the address').toBe(`${hub.url}/publish`);
  expect([await axeFindings(phone), await overflows(phone)]).toEqual([[], false]);
  await phone.getByRole('button', { name: 'Start camera' }).click();
  await phone.getByText('Live. The hub shows these pictures.').waitFor();
  expect([await axeFindings(phone), await overflows(phone)]).toEqual([[], false]);

  await page.getByText('The first picture has arrived').waitFor();
  await until('the first picture is loaded', () => isLoaded(page, 'First picture from door'), Boolean);
  await until('the picture on the card is loaded', () => isLoaded(page, 'Last picture from door'), Boolean);
  await card(page, 'door')
    .getByText(/\d fps · connected for \d+ s/)
    .waitFor();
  await page.getByText('1 of 1 connected').waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
  expect(await page.content(), 'the key is shown only once').not.toContain(key);
  expect([await axeFindings(page), await overflows(page)]).toEqual([[], false]);

  await page.getByRole('button', { name: 'Revoke the key of door' }).click();
  const dialog = page.getByRole('dialog', { name: 'Revoke the key of “door”?' });
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await card(page, 'door').waitFor();
  await page.getByRole('button', { name: 'Revoke the key of door' }).click();
  await dialog.getByRole('button', { name: 'Revoke key' }).click();
  await page.getByText('No keys yet').waitFor();
  await phone.getByText(/revoked/i).waitFor();
  expect(hub.output.join('\n')).not.toContain(key);
});

test('the test command of a key works, and changed limits of an app apply immediately', async () => {
  hub = await startHub([]);
  const page = await freshPage(browser);
  await setUp(page, hub);
  const key = await createKey(page, 'bench');
  const line = await page.getByText(`OCELLI_KEY=${key}`).innerText();
  const [, command = ''] = line.trim().split(' ocelli ');
  const device = spawn(HUB, command.split(' '), { env: { ...process.env, OCELLI_KEY: key } });
  const exited = new Promise((resolve) => device.once('exit', resolve));
  try {
    await page.getByText('The first picture has arrived').waitFor();
    await page.goto(`${hub.url}/settings#apps`);
    await page.getByText('Devices: at most 15 pictures per second').click();
    const rules = page.getByRole('form', { name: 'Devices in live' });
    await rules.getByLabel('Pictures per second').fill('1');
    expect([await axeFindings(page), await overflows(page)]).toEqual([[], false]);
    await rules.getByRole('button', { name: 'Save' }).click();
    await rules.getByText('Saved').waitFor();
    await page.goto(`${hub.url}/settings#ingress`);
    await card(page, 'bench')
      .getByText(/Dropped: \d+ above the app's limit/)
      .waitFor();
  } finally {
    device.kill('SIGINT');
    await exited;
  }
  await card(page, 'bench').getByText('not connected').waitFor();
});

test('a page without camera access or with a wrong key explains what to do', async () => {
  hub = await startHub([]);
  const page = await freshPage(browser, PHONE);
  await page.goto(`${hub.url}/publish#room=door&key=wsk_wrong`);
  await page.getByRole('button', { name: 'Start camera' }).click();
  await page.getByText(/wrong|revoked/i).waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByRole('heading', { name: 'Use this device as a camera' }).waitFor();

  const insecure = await freshPage(browser, PHONE);
  await insecure.addInitScript(() => {
    Object.defineProperty(navigator, 'mediaDevices', { value: undefined });
    Object.defineProperty(window, 'isSecureContext', { value: false });
  });
  await insecure.goto(`${hub.url}/publish`);
  await insecure.getByText('encrypted pages only').waitFor();
});
