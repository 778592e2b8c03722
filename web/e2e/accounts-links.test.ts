// Links that show cameras without signing in: to a wall of selected cameras, and to one camera.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { axeFindings, until, wallReport } from './browser.ts';
import {
  browser,
  callApi,
  freshPage,
  storedValues,
  openHub,
  setUp,
  waitForWall,
  useBrowser,
} from './account.ts';
import { patterns } from './hub.ts';

useBrowser();

test('a wall link shows only its cameras, and reports that it has ended', async () => {
  const hub = await openHub(patterns(3));
  const admin = await freshPage(browser);
  await setUp(admin, hub);
  await admin.goto(`${hub.url}/settings#apps`);
  await admin.getByRole('switch', { name: 'Public cameras for live' }).uncheck();
  await admin.getByText('Only signed-in users').waitFor();
  await admin.goto(`${hub.url}/settings#walls/add`);
  await admin.getByLabel('Name').fill('Hall');
  await admin.getByLabel('cam1').check();
  await admin.getByLabel('cam3').check();
  await admin.getByRole('button', { name: 'Create link' }).click();
  const link = await admin.getByRole('textbox', { name: 'Link to “Hall”' }).inputValue();
  await admin.getByText('2 cameras · expires in 8 h').waitFor();
  expect(await axeFindings(admin)).toEqual([]);

  const visitor = await freshPage(browser);
  await visitor.goto(link);
  await waitForWall(visitor, 2);
  expect(Object.keys((await wallReport(visitor)).tiles)).toEqual(['cam1', 'cam3']);
  expect(await visitor.getByRole('banner').textContent()).toMatch(/Hall.*expires in 8 h/s);
  expect(await visitor.getByRole('link', { name: /Settings/ }).count()).toBe(0);
  const secret = new URL(link).hash.slice('#wall='.length);
  expect(visitor.url()).not.toContain(secret);
  expect(await storedValues(visitor)).not.toContain(secret);
  // The link still works after opening one camera, going back and reloading.
  await visitor.getByRole('button', { name: /^cam3,/ }).click();
  await visitor.getByRole('button', { name: 'All cameras' }).click();
  await visitor.reload();
  await waitForWall(visitor, 2);
  expect(await axeFindings(visitor)).toEqual([]);

  const anonymous = await freshPage(browser);
  await anonymous.goto(hub.url);
  await anonymous.getByRole('link', { name: /Settings/ }).waitFor();
  expect((await hub.cameras()).length).toBe(0);

  await admin.getByRole('button', { name: 'Revoke Hall' }).click();
  await admin.getByRole('dialog').getByRole('button', { name: 'Revoke link' }).click();
  await admin.getByText('No links yet').waitFor();
  await visitor.reload();
  await visitor.getByRole('heading', { name: 'This link has ended' }).waitFor();
  expect(await axeFindings(visitor)).toEqual([]);
});

test('one camera is shared from the wall with a lifetime', async () => {
  const hub = await openHub(patterns(2));
  const admin = await freshPage(browser);
  await setUp(admin, hub);
  expect(await callApi(admin, 'PATCH', 'apps/live', { publicPlayback: false })).toBe(200);
  await admin.goto(`${hub.url}/#cam2`);
  await admin.getByRole('button', { name: 'Share' }).click();
  const dialog = admin.getByRole('dialog', { name: 'Share cam2' });
  await dialog.getByLabel('Expires after').selectOption('1 hour');
  await dialog.getByRole('button', { name: 'Create link' }).click();
  const link = await dialog.getByLabel('Link').inputValue();
  const visitor = await freshPage(browser);
  const response = await visitor.goto(link);
  expect(response?.status()).toBe(200);
  await until(
    'the camera plays',
    () => camerasWithViewers(admin),
    (ids) => ids.includes('cam2'),
  );
  expect((await visitor.goto(link.replace('cam2', 'cam1')))?.status()).toBe(401);
});

/** Returns the cameras with viewers, requested with the page's session. */
const camerasWithViewers = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const response = (await (await fetch('/api/v1/cameras')).json()) as {
      data: { id: string; viewers: number }[];
    };
    return response.data.filter(({ viewers }) => viewers > 0).map(({ id }) => id);
  });
