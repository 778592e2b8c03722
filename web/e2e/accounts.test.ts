// Users in a real browser: from the first password to cameras and users, and the permissions of each role.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { axeFindings } from './browser.ts';
import {
  browser,
  callApi,
  choosePassword,
  setupLink,
  freshPage,
  invite,
  storedValues,
  LOCAL_SOURCES,
  openHub,
  panels,
  PASSWORD,
  PHONE,
  setUp,
  waitForWall,
  signIn,
  overflows,
  useBrowser,
} from './account.ts';
import { patterns } from './hub.ts';
import { startRtsp, type RtspServer } from './peers.ts';

let rtsp: RtspServer;

useBrowser();

beforeAll(async () => {
  rtsp = await startRtsp(['--user', 'viewer', '--password', 'p@ss word']);
});

afterAll(() => rtsp.stop());

test('an administrator sets the first password, adds a camera that plays, deletes it and signs out', async () => {
  const hub = await openHub([], 0, LOCAL_SOURCES);
  const link = await setupLink(hub);
  const code = new URL(link).hash.slice('#code='.length);
  const page = await freshPage(browser);
  await page.goto(link);
  await page.getByLabel('Your name').fill('robin');
  expect(page.url()).toBe(`${hub.url}/sign-in`);

  await page.getByLabel('New password').fill('too short');
  await page.getByText('one more character').waitFor();
  await page.getByLabel('Repeat password').fill('too shore');
  await page.getByText('do not match').waitFor();
  await choosePassword(page);
  await page.waitForURL(`${hub.url}/`);

  await page.getByRole('link', { name: 'Add a camera' }).click();
  await page.getByLabel('Address').fill(rtsp.url('/h264').replace('//', '//viewer:wrong@'));
  await page.getByRole('button', { name: 'Test' }).click();
  await page
    .getByRole('alert')
    .getByText(/password|sign|401/i)
    .waitFor();
  expect(await page.getByLabel('Address').inputValue()).toBe(rtsp.url('/h264'));
  expect(await page.getByLabel('User').inputValue()).toBe('viewer');

  await page.getByLabel('Password').fill('p@ss word');
  await page.getByRole('button', { name: 'Test' }).click();
  await page.getByText('It works: H264, 320 × 240.').waitFor();
  const still = page.getByRole('img', { name: 'View from the camera' });
  expect(await still.evaluate((img: HTMLImageElement) => [img.naturalWidth, img.naturalHeight])).toEqual([
    320, 240,
  ]);
  expect(await hub.cameras()).toEqual([]);
  expect(await axeFindings(page)).toEqual([]);

  await page.getByLabel('Name').fill('Große Tür');
  expect(await page.getByLabel('Room').inputValue()).toBe('grosse-tur');
  await page.getByRole('button', { name: 'Add camera' }).click();
  await page.getByRole('link', { name: 'Große Tür', exact: true }).waitFor();
  await page.goto(hub.url);
  await waitForWall(page, 1);

  await page.goto(`${hub.url}/settings#cameras`);
  await page.getByRole('link', { name: 'Edit Große Tür' }).click();
  expect(await page.getByLabel('Password').inputValue()).toBe('');
  await page.getByLabel('Name').fill('Front door');
  await page.getByRole('button', { name: 'Test' }).click();
  await page.getByText('It works: H264').waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'Edit Front door' }).waitFor();
  expect((await hub.cameras()).map(({ id }) => id)).toEqual(['grosse-tur']);

  await page.getByRole('button', { name: 'Delete Front door' }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete “Front door”?' });
  expect(await axeFindings(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  expect(await hub.cameras()).toHaveLength(1);
  await page.getByRole('button', { name: 'Delete Front door' }).click();
  await dialog.getByRole('button', { name: 'Delete camera' }).click();
  await page.getByText('No cameras yet').waitFor();
  expect(await hub.cameras()).toEqual([]);

  const stored = await storedValues(page);
  for (const secret of [code, PASSWORD, 'p@ss word']) expect(stored).not.toContain(secret);
  expect(await page.evaluate(() => document.cookie)).toBe('');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${hub.url}/`);
  expect(await callApi(page, 'GET', 'users')).toBe(401);
  await page.goto(`${hub.url}/settings#people`);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await signIn(page, 'robin');
  await page.getByRole('heading', { name: 'Users' }).waitFor();
  expect(page.url()).toBe(`${hub.url}/settings#people`);

  const secondPage = await freshPage(browser);
  await secondPage.goto(link);
  await secondPage.getByLabel('Your name').fill('mallory');
  await choosePassword(secondPage);
  await secondPage.getByRole('alert').getByText(/code/).waitFor();
});

test('each role is offered its own actions and refused all others', async () => {
  const hub = await openHub(patterns(1), 0, LOCAL_SOURCES);
  const admin = await freshPage(browser);
  await setUp(admin, hub);
  const operator = await invite(admin, browser, hub, 'olga', 'operator');
  const viewer = await invite(admin, browser, hub, 'vic', 'viewer');

  await viewer.goto(`${hub.url}/settings`);
  expect(await panels(viewer)).toEqual(['Cameras', 'Series', 'Account']);
  await viewer.getByText('read-only').waitFor();
  expect(await viewer.getByRole('link', { name: 'Add a camera' }).count()).toBe(0);
  await viewer.goto(`${hub.url}/settings#people/add`);
  await viewer.getByRole('heading', { name: 'Cameras' }).waitFor();
  const camera = { room: 'x', source: rtsp.url('/h264') };
  for (const [method, path, body] of [
    ['POST', 'cameras', camera],
    ['POST', 'cameras/test', camera],
    ['DELETE', 'cameras/cam1', undefined],
    ['GET', 'users', undefined],
    ['POST', 'users', { name: 'x', roles: [] }],
    ['GET', 'tokens', undefined],
    ['PATCH', 'apps/live', { publicPlayback: false }],
    ['GET', 'walls', undefined],
    ['GET', 'apps/live/play-token/cam1', undefined],
  ] as const) {
    expect([method, path, await callApi(viewer, method, path, body)]).toEqual([method, path, 403]);
  }

  await operator.goto(`${hub.url}/settings`);
  expect(await panels(operator)).toEqual(['Cameras', 'Devices', 'Series', 'Walls', 'Account']);
  await operator.getByRole('link', { name: 'Add a camera' }).click();
  await operator.getByLabel('Address').fill(rtsp.url('/mjpeg').replace('//', '//viewer:p%40ss%20word@'));
  await operator.getByLabel('Name').fill('Yard');
  await operator.getByRole('button', { name: 'Add camera' }).click();
  await operator.getByRole('link', { name: 'Edit Yard' }).waitFor();
  expect(await operator.getByRole('link', { name: 'Edit cam1' }).count()).toBe(0);
  expect(await callApi(operator, 'POST', 'users', { name: 'x', roles: [] })).toBe(403);
  expect(await callApi(operator, 'POST', 'tokens', { name: 'x', scope: 'global' })).toBe(403);

  // An admin lowers the role of a user. The user's actions are then refused immediately.
  await admin.goto(`${hub.url}/settings#people`);
  await admin.getByRole('link', { name: 'Edit olga' }).click();
  await admin.getByRole('heading', { name: 'Edit olga' }).waitFor();
  expect(await axeFindings(admin)).toEqual([]);
  await admin.getByLabel('Role 1', { exact: true }).selectOption('viewer');
  await admin.getByRole('button', { name: 'Save' }).click();
  await admin.getByRole('link', { name: 'Edit olga' }).waitFor();
  expect(await callApi(operator, 'DELETE', 'cameras/yard')).toBe(403);
  await admin.getByRole('button', { name: 'Delete vic' }).click();
  await admin.getByRole('dialog').getByRole('button', { name: 'Delete vic' }).click();
  await admin.getByRole('dialog').waitFor({ state: 'detached' });
  expect(await admin.getByRole('button', { name: 'Delete vic' }).count()).toBe(0);
  expect(await callApi(viewer, 'GET', 'users')).toBe(401);
});

test('private cameras are reported as private and shown after signing in', async () => {
  const hub = await openHub(patterns(1), 0, '[app.live]\npublic_playback = false\n');
  const anonymous = await freshPage(browser, PHONE);
  await anonymous.goto(hub.url);
  await anonymous.getByText('the link that the hub printed').waitFor();
  expect([await axeFindings(anonymous), await overflows(anonymous)]).toEqual([[], false]);
  const page = await freshPage(browser);
  await page.goto(await setupLink(hub));
  await page.getByLabel('Your name').fill('robin');
  await choosePassword(page);
  await page.getByText('1 camera · 1 live').waitFor();

  await anonymous.reload();
  await anonymous.getByRole('heading', { name: 'These cameras are private' }).waitFor();
  await anonymous.getByRole('link', { name: 'Sign in', exact: true }).click();
  await signIn(anonymous, 'robin');
  await anonymous.waitForURL(`${hub.url}/`);
  await anonymous.getByText('1 camera · 1 live').waitFor();
});

test('an administrator sees the sessions of other users and ends them', async () => {
  const hub = await openHub([], 0, LOCAL_SOURCES);
  const admin = await freshPage(browser);
  await setUp(admin, hub);
  await admin.goto(`${hub.url}/settings#people`);
  await admin.getByText('robin').first().waitFor();
  expect(await admin.getByRole('heading', { name: 'Where other users are signed in' }).count()).toBe(0);
  const viewer = await invite(admin, browser, hub, 'vic', 'viewer');
  await viewer.goto(`${hub.url}/settings`);
  expect(await callApi(viewer, 'GET', 'users')).toBe(403);

  await admin.goto(`${hub.url}/settings#people`);
  await admin.reload();
  await admin.getByRole('heading', { name: 'Where other users are signed in' }).waitFor();
  expect(await axeFindings(admin)).toEqual([]);
  const signOutButton = admin.getByRole('button', { name: /^Sign out / });
  const names = await signOutButton.evaluateAll((all) =>
    all.map((button) => button.getAttribute('aria-label')),
  );
  expect(names).toEqual([expect.stringMatching(/^Sign out vic: Chrome.* at 127\.0\.0\.1$/)]);
  await signOutButton.click();
  await admin.getByRole('dialog').getByText('vic has to sign in again there').waitFor();
  await admin.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
  await signOutButton.waitFor({ state: 'detached' });
  expect(await callApi(viewer, 'GET', 'users')).toBe(401);
  expect(await callApi(admin, 'GET', 'users')).toBe(200);
});
