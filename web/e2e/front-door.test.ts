// The front door with a real browser: from the link of the first start to cameras, people, links and their ends.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { findings, launch, painted, until, wallReport } from './browser.ts';
import {
  byHand,
  choosePassword,
  firstLink,
  freshPage,
  invite,
  panels,
  PASSWORD,
  PHONE,
  setUp,
  signIn,
  tooWide,
} from './door.ts';
import { patterns, startHub, type Hub } from './hub.ts';
import type { SetCamera } from '../app/shapes.ts';
import { startRtsp, type RtspServer } from './peers.ts';

const LOCAL = 'allow_local_sources = true\n';

let browser: Browser;
let rtsp: RtspServer;
let hub: Hub;

beforeAll(async () => {
  browser = await launch();
  rtsp = await startRtsp(['--user', 'viewer', '--password', 'p@ss word']);
});

afterAll(async () => {
  rtsp.stop();
  await browser.close();
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await hub.stop();
});

const shows = (page: Page, count: number): Promise<unknown> =>
  until(
    `${count} cameras paint`,
    () => wallReport(page),
    (report) => painted(report) === count && Object.keys(report.tiles).length === count,
  );

/** What a page keeps in the browser, cookies apart. */
const kept = (page: Page): Promise<string> =>
  page.evaluate(() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)]));

test('from the first start to a camera that plays, and out again', async () => {
  hub = await startHub([], 0, LOCAL);
  const link = await firstLink(hub);
  const code = new URL(link).hash.slice('#code='.length);
  const page = await freshPage(browser);
  await page.goto(link);
  await page.getByLabel('Your name').fill('robin');
  expect(page.url()).toBe(`${hub.url}/sign-in`);

  await page.getByLabel('New password').fill('too short');
  await page.getByText('one more character').waitFor();
  await page.getByLabel('The same again').fill('too shore');
  await page.getByText('The two differ').waitFor();
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
  const still = page.getByRole('img', { name: 'What the camera sees' });
  expect(await still.evaluate((img: HTMLImageElement) => [img.naturalWidth, img.naturalHeight])).toEqual([
    320, 240,
  ]);
  expect(await hub.cameras()).toEqual([]);
  expect(await findings(page)).toEqual([]);

  await page.getByLabel('Name').fill('Große Tür');
  expect(await page.getByLabel('Room').inputValue()).toBe('grosse-tur');
  await page.getByRole('button', { name: 'Add camera' }).click();
  await page.getByRole('link', { name: 'Große Tür', exact: true }).waitFor();
  await page.goto(hub.url);
  await shows(page, 1);

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
  expect(await findings(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Keep' }).click();
  expect(await hub.cameras()).toHaveLength(1);
  await page.getByRole('button', { name: 'Delete Front door' }).click();
  await dialog.getByRole('button', { name: 'Delete camera' }).click();
  await page.getByText('No cameras yet').waitFor();
  expect(await hub.cameras()).toEqual([]);

  const stored = await kept(page);
  for (const secret of [code, PASSWORD, 'p@ss word']) expect(stored).not.toContain(secret);
  expect(await page.evaluate(() => document.cookie)).toBe('');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${hub.url}/`);
  expect(await byHand(page, 'GET', 'users')).toBe(401);
  await page.goto(`${hub.url}/settings#people`);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await signIn(page, 'robin');
  await page.getByRole('heading', { name: 'People' }).waitFor();
  expect(page.url()).toBe(`${hub.url}/settings#people`);

  const late = await freshPage(browser);
  await late.goto(link);
  await late.getByLabel('Your name').fill('mallory');
  await choosePassword(late);
  await late.getByRole('alert').getByText(/code/).waitFor();
});

test('each role is offered what it may do, and refused the rest', async () => {
  hub = await startHub(patterns(1), 0, LOCAL);
  const admin = await freshPage(browser);
  await setUp(admin, hub);
  const operator = await invite(admin, browser, hub, 'olga', 'operator');
  const viewer = await invite(admin, browser, hub, 'vic', 'viewer');

  await viewer.goto(`${hub.url}/settings`);
  expect(await panels(viewer)).toEqual(['Cameras', 'Series', 'Account']);
  await viewer.getByText('configured').waitFor();
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
    expect([method, path, await byHand(viewer, method, path, body)]).toEqual([method, path, 403]);
  }

  await operator.goto(`${hub.url}/settings`);
  expect(await panels(operator)).toEqual(['Cameras', 'Ingress', 'Series', 'Walls', 'Account']);
  await operator.getByRole('link', { name: 'Add a camera' }).click();
  await operator.getByLabel('Address').fill(rtsp.url('/mjpeg').replace('//', '//viewer:p%40ss%20word@'));
  await operator.getByLabel('Name').fill('Yard');
  await operator.getByRole('button', { name: 'Add camera' }).click();
  await operator.getByRole('link', { name: 'Edit Yard' }).waitFor();
  expect(await operator.getByRole('link', { name: 'Edit cam1' }).count()).toBe(0);
  expect(await byHand(operator, 'POST', 'users', { name: 'x', roles: [] })).toBe(403);
  expect(await byHand(operator, 'POST', 'tokens', { name: 'x', scope: 'global' })).toBe(403);

  // An admin makes less of somebody; what was offered is refused at once.
  await admin.goto(`${hub.url}/settings#people`);
  await admin.getByRole('link', { name: 'Edit olga' }).click();
  await admin.getByRole('heading', { name: 'Edit olga' }).waitFor();
  expect(await findings(admin)).toEqual([]);
  await admin.getByLabel('Role 1', { exact: true }).selectOption('viewer');
  await admin.getByRole('button', { name: 'Save' }).click();
  await admin.getByRole('link', { name: 'Edit olga' }).waitFor();
  expect(await byHand(operator, 'DELETE', 'cameras/yard')).toBe(403);
  await admin.getByRole('button', { name: 'Delete vic' }).click();
  await admin.getByRole('dialog').getByRole('button', { name: 'Delete vic' }).click();
  await admin.getByRole('dialog').waitFor({ state: 'detached' });
  expect(await admin.getByRole('button', { name: 'Delete vic' }).count()).toBe(0);
  expect(await byHand(viewer, 'GET', 'users')).toBe(401);
});

test('a link opens a wall of its cameras alone, and says when it has ended', async () => {
  hub = await startHub(patterns(3));
  const admin = await freshPage(browser);
  await setUp(admin, hub);
  await admin.goto(`${hub.url}/settings#apps`);
  await admin.getByRole('switch', { name: 'Public playback of live' }).uncheck();
  await admin.getByText('Only people who are signed in').waitFor();
  await admin.goto(`${hub.url}/settings#walls/add`);
  await admin.getByLabel('Name').fill('Hall');
  await admin.getByLabel('cam1').check();
  await admin.getByLabel('cam3').check();
  await admin.getByRole('button', { name: 'Make link' }).click();
  const link = await admin.getByRole('textbox', { name: 'The link to “Hall”' }).inputValue();
  await admin.getByText('2 cameras · ends in 8 h').waitFor();
  expect(await findings(admin)).toEqual([]);

  const visitor = await freshPage(browser);
  await visitor.goto(link);
  await shows(visitor, 2);
  expect(Object.keys((await wallReport(visitor)).tiles)).toEqual(['cam1', 'cam3']);
  expect(await visitor.getByRole('banner').textContent()).toMatch(/Hall.*ends in 8 h/s);
  expect(await visitor.getByRole('link', { name: /Settings/ }).count()).toBe(0);
  const secret = new URL(link).hash.slice('#wall='.length);
  expect(visitor.url()).not.toContain(secret);
  expect(await kept(visitor)).not.toContain(secret);
  // One camera alone and back, and a reload: the link is still what opens it.
  await visitor.getByRole('button', { name: /^cam3,/ }).click();
  await visitor.getByRole('button', { name: 'All cameras' }).click();
  await visitor.reload();
  await shows(visitor, 2);
  expect(await findings(visitor)).toEqual([]);

  const stranger = await freshPage(browser);
  await stranger.goto(hub.url);
  await stranger.getByRole('link', { name: /Settings/ }).waitFor();
  expect((await hub.cameras()).length).toBe(0);

  await admin.getByRole('button', { name: 'Revoke Hall' }).click();
  await admin.getByRole('dialog').getByRole('button', { name: 'Revoke link' }).click();
  await admin.getByText('No links yet').waitFor();
  await visitor.reload();
  await visitor.getByRole('heading', { name: 'This link has ended' }).waitFor();
  expect(await findings(visitor)).toEqual([]);
});

test('one camera is shared from the wall, with an end', async () => {
  hub = await startHub(patterns(2));
  const admin = await freshPage(browser);
  await setUp(admin, hub);
  expect(await byHand(admin, 'PATCH', 'apps/live', { publicPlayback: false })).toBe(200);
  await admin.goto(`${hub.url}/#cam2`);
  await admin.getByRole('button', { name: 'Share' }).click();
  const dialog = admin.getByRole('dialog', { name: 'Share cam2' });
  await dialog.getByLabel('Ends after').selectOption('1 hour');
  await dialog.getByRole('button', { name: 'Make link' }).click();
  const link = await dialog.getByLabel('The link').inputValue();
  const visitor = await freshPage(browser);
  const answer = await visitor.goto(link);
  expect(answer?.status()).toBe(200);
  await until(
    'it plays',
    () => watched(admin),
    (ids) => ids.includes('cam2'),
  );
  expect((await visitor.goto(link.replace('cam2', 'cam1')))?.status()).toBe(401);
});

/** Who is watched, as the page's session sees it. */
const watched = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const answer = (await (await fetch('/api/v1/cameras')).json()) as {
      data: { id: string; viewers: number }[];
    };
    return answer.data.filter(({ viewers }) => viewers > 0).map(({ id }) => id);
  });

test('a session that ends loses nothing that was typed', async () => {
  hub = await startHub([]);
  const page = await freshPage(browser);
  await setUp(page, hub);
  const elsewhere = await freshPage(browser);
  await elsewhere.goto(`${hub.url}/sign-in?back=/settings%23account`);
  await signIn(elsewhere, 'robin');
  await page.goto(`${hub.url}/settings#apps/add`);
  await page.getByLabel('Name').fill('yard');

  await elsewhere.getByText('this one').waitFor();
  await elsewhere.getByRole('button', { name: /^Sign out .* at / }).click();
  await elsewhere.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
  await elsewhere.getByRole('button', { name: /^Sign out .* at / }).waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Make app' }).click();
  const again = page.getByRole('dialog', { name: 'Sign in again' });
  expect(await again.getByLabel('Name').inputValue()).toBe('robin');
  await again.getByLabel('Password').fill('not the right one');
  await again.getByRole('button', { name: 'Sign in' }).click();
  await again
    .getByRole('alert')
    .getByText(/password/)
    .waitFor();
  await again.getByLabel('Password').fill(PASSWORD);
  await again.getByRole('button', { name: 'Sign in' }).click();
  await again.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Make app' }).click();
  await page.getByRole('button', { name: 'Delete yard' }).waitFor();
});

test('a new password is taken, the old one is not; guessing is slowed down in words', async () => {
  hub = await startHub([]);
  const page = await freshPage(browser);
  await setUp(page, hub);
  await page.goto(`${hub.url}/settings#account`);
  const better = 'another tapir, another roof';
  await page.getByLabel('Current password').fill('a wrong password');
  await page.getByLabel('New password').fill(better);
  await page.getByLabel('The same again').fill(better);
  await page.getByRole('button', { name: 'Change password' }).click();
  await page
    .getByRole('alert')
    .getByText(/password/)
    .waitFor();
  expect(await page.getByLabel('New password').inputValue()).toBe(better);
  await page.getByLabel('Current password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Change password' }).click();
  await page.getByText('Your password is changed').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${hub.url}/`);

  await page.goto(`${hub.url}/sign-in?back=${encodeURIComponent('https://evil.example/')}`);
  await signIn(page, 'robin');
  await page
    .getByRole('alert')
    .getByText(/password/)
    .waitFor();
  await signIn(page, 'robin', better);
  await page.waitForURL(`${hub.url}/`);

  const guesser = await freshPage(browser);
  await guesser.goto(`${hub.url}/sign-in`);
  const said = guesser.getByRole('alert');
  await until(
    'it is too much',
    async () => {
      await signIn(guesser, 'robin', 'guess');
      await said.filter({ hasText: /./ }).waitFor();
      return said.textContent();
    },
    (text) => /Try again in (\d+ seconds|a second|\d+ minutes)\./.test(text ?? ''),
  );
});

test('a secret is copied where the page is no secure context, too', async () => {
  hub = await startHub([]);
  const page = await freshPage(browser);
  await page.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
  await setUp(page, hub);
  await page.goto(`${hub.url}/settings#tokens/add`);
  await page.getByLabel('What it is for').fill('Script');
  await page.getByRole('button', { name: 'Make token' }).click();
  const token = await page.getByRole('textbox', { name: 'The token “Script”' }).inputValue();
  expect(token).toMatch(/^sk_/);
  await page.getByRole('button', { name: 'Copy token' }).click();
  await page.getByText('Copied').waitFor();
  await page.getByRole('link', { name: 'Make a token' }).click();
  await page.getByLabel('What it is for').press('Control+v');
  expect(await page.getByLabel('What it is for').inputValue()).toBe(token);
  await page.goto(`${hub.url}/settings#tokens`);
  await page.reload();
  await page.getByRole('button', { name: 'Revoke Script' }).click();
  expect(await page.content()).not.toContain(token);
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke token' }).click();
  await page.getByText('No tokens').waitFor();
});

test('the keyboard alone makes and deletes an app, and never loses its place', async () => {
  hub = await startHub([]);
  const page = await freshPage(browser);
  await setUp(page, hub);
  await page.goto(`${hub.url}/settings#apps`);
  const here = (): Promise<string> =>
    page.evaluate(() => {
      const { activeElement: at } = document;
      return `${at?.tagName} ${at?.getAttribute('aria-label') ?? at?.textContent ?? ''}`.trim();
    });
  const isHere = (place: string): Promise<string> =>
    until(`the focus is on ${place}`, here, (at) => at === place);
  await page.getByRole('link', { name: 'Make an app' }).focus();
  await page.keyboard.press('Enter');
  await isHere('H2 Make an app');
  await page.keyboard.press('Tab');
  await page.keyboard.type('yard');
  await page.keyboard.press('Enter');
  await isHere('H2 Apps');
  await page.getByRole('button', { name: 'Delete yard' }).focus();
  await page.keyboard.press('Enter');
  await isHere('BUTTON Keep');
  await page.keyboard.press('Escape');
  await isHere('BUTTON Delete yard');
  await page.locator('dialog', { hasText: 'Delete the app' }).waitFor({ state: 'detached' });
  await page.keyboard.press('Enter');
  await isHere('BUTTON Keep');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await isHere('H2 Apps');
  expect(await page.getByRole('button', { name: 'Delete yard' }).count()).toBe(0);
});

test('what is not for everybody says so, and who signs in sees it', async () => {
  hub = await startHub(patterns(1), 0, '[app.live]\npublic_playback = false\n');
  const stranger = await freshPage(browser, PHONE);
  await stranger.goto(hub.url);
  await stranger.getByText('the link that the hub printed').waitFor();
  expect([await findings(stranger), await tooWide(stranger)]).toEqual([[], false]);
  const page = await freshPage(browser);
  await page.goto(await firstLink(hub));
  await page.getByLabel('Your name').fill('robin');
  await choosePassword(page);
  await page.getByText('1 camera · 1 live').waitFor();

  await stranger.reload();
  await stranger.getByRole('heading', { name: 'Not for everybody' }).waitFor();
  await stranger.getByRole('link', { name: 'Sign in', exact: true }).click();
  await signIn(stranger, 'robin');
  await stranger.waitForURL(`${hub.url}/`);
  await stranger.getByText('1 camera · 1 live').waitFor();
});

const PAGES = [
  ...['cameras', 'ingress', 'walls', 'people', 'tokens', 'apps', 'account'],
  ...['cameras/add', 'ingress/add', 'walls/add', 'people/add', 'tokens/add', 'apps/add'],
];

for (const colorScheme of ['dark', 'light'] as const) {
  test.each([
    ['desk', {}],
    ['phone', PHONE],
  ])(`axe finds nothing serious on a ${colorScheme} %s, and nothing sticks out`, async (_, size) => {
    hub = await startHub(patterns(2));
    const page = await freshPage(browser, { colorScheme, ...size });
    const looks = async (where: string): Promise<void> => {
      expect([where, await findings(page), await tooWide(page)]).toEqual([where, [], false]);
    };
    await page.goto(`${hub.url}/sign-in`);
    await page.getByRole('heading', { name: 'No password yet' }).waitFor();
    await looks('no password');
    await page.goto(await firstLink(hub));
    await page.getByRole('heading', { name: 'Set the first password' }).waitFor();
    await looks('first start');
    await page.getByLabel('Your name').fill('robin');
    await choosePassword(page);
    await page.waitForURL(`${hub.url}/`);
    for (const place of PAGES) {
      await page.goto(`${hub.url}/settings#${place}`);
      await page.locator('main h2').waitFor();
      await looks(place);
    }
    await page.goto(`${hub.url}/#cam1`);
    await page.getByRole('button', { name: 'Share' }).click();
    await page.getByRole('dialog').waitFor();
    await looks('share');
  });
}

test('an administrator sees where others are signed in, and signs them out there', async () => {
  hub = await startHub([], 0, LOCAL);
  const admin = await freshPage(browser);
  await setUp(admin, hub);
  await admin.goto(`${hub.url}/settings#people`);
  await admin.getByText('robin').first().waitFor();
  expect(await admin.getByRole('heading', { name: 'Where others are signed in' }).count()).toBe(0);
  const viewer = await invite(admin, browser, hub, 'vic', 'viewer');
  await viewer.goto(`${hub.url}/settings`);
  expect(await byHand(viewer, 'GET', 'users')).toBe(403);

  await admin.goto(`${hub.url}/settings#people`);
  await admin.reload();
  await admin.getByRole('heading', { name: 'Where others are signed in' }).waitFor();
  expect(await findings(admin)).toEqual([]);
  const out = admin.getByRole('button', { name: /^Sign out / });
  const names = await out.evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')));
  expect(names).toEqual([expect.stringMatching(/^Sign out vic: Chrome.* at 127\.0\.0\.1$/)]);
  await out.click();
  await admin.getByRole('dialog').getByText('vic has to sign in again there').waitFor();
  await admin.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
  await out.waitFor({ state: 'detached' });
  expect(await byHand(viewer, 'GET', 'users')).toBe(401);
  expect(await byHand(admin, 'GET', 'users')).toBe(200);
});

test('how often a picture is fetched, and the JPEG of a video, are set where they apply', async () => {
  hub = await startHub([], 0, LOCAL);
  const page = await freshPage(browser);
  await setUp(page, hub);
  const kept = async (): Promise<unknown> => {
    const told = await page.evaluate(async () => (await fetch('/api/v1/cameras/mast')).text());
    const { interval, jpeg } = (JSON.parse(told) as { data: SetCamera }).data;
    return { interval, jpeg };
  };
  const usual = { fps: null, width: null, quality: null };
  await page.goto(`${hub.url}/settings#cameras/add`);
  await page.getByText('More', { exact: true }).click();
  await page.getByLabel('Address').fill('http://10.0.0.9/snapshot.jpg');
  await page.getByLabel('Name').fill('Mast');
  expect(await page.getByLabel('Quality').count()).toBe(0);
  await page.getByLabel('Fetch a picture every').fill('two seconds');
  await page.getByText('More', { exact: true }).click();
  await page.getByRole('button', { name: 'Add camera' }).click();
  // What is wrong is shown, wherever it was hidden.
  await page.getByLabel('Fetch a picture every').fill('2s');
  await page.getByRole('button', { name: 'Add camera' }).click();
  await page.getByRole('link', { name: 'Edit Mast' }).click();
  await page.getByText('More', { exact: true }).click();
  expect(await page.getByLabel('Fetch a picture every').inputValue()).toBe('2s');
  expect(await kept()).toEqual({ interval: '2s', jpeg: usual });

  await page.getByLabel('Address').fill('rtsp://10.0.0.9/stream1');
  expect(await page.getByLabel('Fetch a picture every').count()).toBe(0);
  await page.getByLabel('Pictures a second').fill('2.5');
  await page.getByLabel('Width in pixels').fill('640');
  await page.getByLabel('Quality').fill('70');
  expect(await findings(page)).toEqual([]);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'Edit Mast' }).click();
  expect(await kept()).toEqual({ interval: null, jpeg: { fps: 2.5, width: 640, quality: 70 } });
  await page.getByText('More', { exact: true }).click();
  expect(await page.getByLabel('Pictures a second').inputValue()).toBe('2.5');
  await page.getByLabel('One of each key frame only').check();
  await page.getByLabel('Quality').fill('');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'Edit Mast' }).waitFor();
  expect(await kept()).toEqual({ interval: null, jpeg: { fps: 'key', width: 640, quality: null } });
});
