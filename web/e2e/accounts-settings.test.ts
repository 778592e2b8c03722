// The settings in a real browser: keyboard use, phones, both colour schemes, stored values.
import { expect, test } from 'vitest';
import type { CameraConfig } from '../app/shapes.ts';
import { axeFindings, until } from './browser.ts';
import {
  browser,
  choosePassword,
  setupLink,
  freshPage,
  LOCAL_SOURCES,
  openHub,
  PHONE,
  setUp,
  overflows,
  useBrowser,
} from './account.ts';
import { patterns } from './hub.ts';

useBrowser();

test('a secret can be copied outside a secure context', async () => {
  const hub = await openHub([]);
  const page = await freshPage(browser);
  await page.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
  await setUp(page, hub);
  await page.goto(`${hub.url}/settings#tokens/add`);
  await page.getByLabel('Name').fill('Script');
  await page.getByRole('button', { name: 'Create token' }).click();
  const token = await page.getByRole('textbox', { name: 'Token “Script”' }).inputValue();
  expect(token).toMatch(/^sk_/);
  await page.getByRole('button', { name: 'Copy token' }).click();
  await page.getByText('Copied').waitFor();
  await page.getByRole('link', { name: 'Create a token' }).click();
  await page.getByLabel('Name').press('Control+v');
  expect(await page.getByLabel('Name').inputValue()).toBe(token);
  await page.goto(`${hub.url}/settings#tokens`);
  await page.reload();
  await page.getByRole('button', { name: 'Revoke Script' }).click();
  expect(await page.content()).not.toContain(token);
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke token' }).click();
  await page.getByText('No tokens').waitFor();
});

test('an app is created and deleted by keyboard, and the focus is never lost', async () => {
  const hub = await openHub([]);
  const page = await freshPage(browser);
  await setUp(page, hub);
  await page.goto(`${hub.url}/settings#apps`);
  const focused = (): Promise<string> =>
    page.evaluate(() => {
      const { activeElement: active } = document;
      return `${active?.tagName} ${active?.getAttribute('aria-label') ?? active?.textContent ?? ''}`.trim();
    });
  const expectFocus = (target: string): Promise<string> =>
    until(`the focus is on ${target}`, focused, (active) => active === target);
  await page.getByRole('link', { name: 'Create an app' }).focus();
  await page.keyboard.press('Enter');
  await expectFocus('H2 Create an app');
  await page.keyboard.press('Tab');
  await page.keyboard.type('yard');
  await page.keyboard.press('Enter');
  await expectFocus('H2 Apps');
  await page.getByRole('button', { name: 'Delete yard' }).focus();
  await page.keyboard.press('Enter');
  await expectFocus('BUTTON Cancel');
  await page.keyboard.press('Escape');
  await expectFocus('BUTTON Delete yard');
  await page.locator('dialog', { hasText: 'Delete the app' }).waitFor({ state: 'detached' });
  await page.keyboard.press('Enter');
  await expectFocus('BUTTON Cancel');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await expectFocus('H2 Apps');
  expect(await page.getByRole('button', { name: 'Delete yard' }).count()).toBe(0);
});

test('the fetch interval and the JPEG settings are offered only where they apply', async () => {
  const hub = await openHub([], 0, LOCAL_SOURCES);
  const page = await freshPage(browser);
  await setUp(page, hub);
  const saved = async (): Promise<unknown> => {
    const text = await page.evaluate(async () => (await fetch('/api/v1/cameras/mast')).text());
    const { interval, jpeg } = (JSON.parse(text) as { data: CameraConfig }).data;
    return { interval, jpeg };
  };
  const defaults = { fps: null, width: null, quality: null };
  await page.goto(`${hub.url}/settings#cameras/add`);
  await page.getByText('More options', { exact: true }).click();
  await page.getByLabel('Address').fill('http://10.0.0.9/snapshot.jpg');
  await page.getByLabel('Name').fill('Mast');
  expect(await page.getByLabel('Quality').count()).toBe(0);
  await page.getByLabel('Fetch a picture every').fill('two seconds');
  await page.getByText('More options', { exact: true }).click();
  await page.getByRole('button', { name: 'Add camera' }).click();
  // The collapsed section opens, because the invalid field is in it.
  await page.getByLabel('Fetch a picture every').fill('2s');
  await page.getByRole('button', { name: 'Add camera' }).click();
  await page.getByRole('link', { name: 'Edit Mast' }).click();
  await page.getByText('More options', { exact: true }).click();
  expect(await page.getByLabel('Fetch a picture every').inputValue()).toBe('2s');
  expect(await saved()).toEqual({ interval: '2s', jpeg: defaults });

  await page.getByLabel('Address').fill('rtsp://10.0.0.9/stream1');
  expect(await page.getByLabel('Fetch a picture every').count()).toBe(0);
  await page.getByLabel('Pictures per second').fill('2.5');
  await page.getByLabel('Width in pixels').fill('640');
  await page.getByLabel('Quality').fill('70');
  expect(await axeFindings(page)).toEqual([]);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'Edit Mast' }).click();
  expect(await saved()).toEqual({ interval: null, jpeg: { fps: 2.5, width: 640, quality: 70 } });
  await page.getByText('More options', { exact: true }).click();
  expect(await page.getByLabel('Pictures per second').inputValue()).toBe('2.5');
  await page.getByLabel('Key frames only').check();
  await page.getByLabel('Quality').fill('');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'Edit Mast' }).waitFor();
  expect(await saved()).toEqual({ interval: null, jpeg: { fps: 'key', width: 640, quality: null } });
});

const PAGES = [
  ...['cameras', 'ingress', 'walls', 'people', 'tokens', 'apps', 'account'],
  ...['cameras/add', 'ingress/add', 'walls/add', 'people/add', 'tokens/add', 'apps/add'],
];

for (const colorScheme of ['dark', 'light'] as const) {
  test.each([
    ['desktop', {}],
    ['phone', PHONE],
  ])(`axe finds nothing serious on a ${colorScheme} %s, and nothing overflows`, async (_, size) => {
    const hub = await openHub(patterns(2));
    const page = await freshPage(browser, { colorScheme, ...size });
    const check = async (label: string): Promise<void> => {
      expect([label, await axeFindings(page), await overflows(page)]).toEqual([label, [], false]);
    };
    await page.goto(`${hub.url}/sign-in`);
    await page.getByRole('heading', { name: 'No password yet' }).waitFor();
    await check('no password');
    await page.goto(await setupLink(hub));
    await page.getByRole('heading', { name: 'Set the first password' }).waitFor();
    await check('first start');
    await page.getByLabel('Your name').fill('robin');
    await choosePassword(page);
    await page.waitForURL(`${hub.url}/`);
    for (const target of PAGES) {
      await page.goto(`${hub.url}/settings#${target}`);
      await page.locator('main h2').waitFor();
      await check(target);
    }
    await page.goto(`${hub.url}/#cam1`);
    await page.getByRole('button', { name: 'Share' }).click();
    await page.getByRole('dialog').waitFor();
    await check('share');
  });
}
