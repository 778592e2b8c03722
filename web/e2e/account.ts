// Steps for tests of users and settings: setting the first password, signing in, adding a user.
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { launch, painted, until, wallReport } from './browser.ts';
import { startHub, type Hub } from './hub.ts';

/** Configuration that allows cameras on this machine. */
export const LOCAL_SOURCES = 'allow_local_sources = true\n';
export const PASSWORD = 'a tapir on the roof';
export const PHONE = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

/** The browser of all tests of a file, after `useBrowser`. */
export let browser: Browser;
let openedHub: Hub | undefined;

/** Starts a browser for the tests of a file. Browser profiles and the hub are closed after each test. */
export function useBrowser(): void {
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser.close());
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    await openedHub?.stop();
    openedHub = undefined;
  });
}

/** Starts a hub that is stopped after the test. */
export async function openHub(...args: Parameters<typeof startHub>): Promise<Hub> {
  openedHub = await startHub(...args);
  return openedHub;
}

/** Opens a page in a new browser profile. Any script error in it fails the test. */
export async function freshPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.on('pageerror', (error) => {
    throw error;
  });
  return page;
}

/** Returns the link that a hub prints at its first start. */
export async function setupLink(hub: Hub): Promise<string> {
  const find = (): string | undefined =>
    hub.output
      .map((line) => /https?:\/\/\S+\/sign-in#code=\S+/.exec(line)?.[0])
      .find((link) => link !== undefined);
  const link = await until('the hub prints a link', find, (link) => link !== undefined);
  return link ?? '';
}

/** Sets the first password. The page is then signed in and shows the wall. */
export async function setUp(page: Page, hub: Hub, name = 'robin'): Promise<void> {
  await page.goto(await setupLink(hub));
  await page.getByLabel('Your name').fill(name);
  await choosePassword(page);
  await page.waitForURL(`${hub.url}/`);
}

export async function choosePassword(page: Page, password = PASSWORD): Promise<void> {
  await page.getByLabel('New password').fill(password);
  await page.getByLabel('Repeat password').fill(password);
  await page.getByRole('button', { name: 'Set password and sign in' }).click();
}

export async function signIn(page: Page, name: string, password = PASSWORD): Promise<void> {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Adds a user with one role in all apps and opens their link in a new profile. */
export async function invite(
  admin: Page,
  browser: Browser,
  hub: Hub,
  name: string,
  role: string,
): Promise<Page> {
  await admin.goto(`${hub.url}/settings#people/add`);
  await admin.getByLabel('Name').fill(name);
  await admin.getByLabel('Role 1', { exact: true }).selectOption(role);
  await admin.getByRole('button', { name: 'Add user' }).click();
  const link = await admin.getByRole('textbox', { name: `Link for ${name}` }).inputValue();
  const page = await freshPage(browser);
  await page.goto(link);
  if ((await page.getByLabel('Your name').inputValue()) !== name)
    throw new Error('the link does not include the name');
  await choosePassword(page);
  await page.waitForURL(`${hub.url}/`);
  return page;
}

/** Calls the API with the page's session. Returns the status. */
export function callApi(page: Page, method: string, path: string, body?: unknown): Promise<number> {
  return page.evaluate(
    async ([method, path, body]) => {
      const response = await fetch(`/api/v1/${path}`, {
        method,
        ...(body === undefined ? {} : { body, headers: { 'Content-Type': 'application/json' } }),
      });
      return response.status;
    },
    [method, path, body === undefined ? undefined : JSON.stringify(body)] as const,
  );
}

/** Returns the names of the panels in the settings. */
export async function panels(page: Page): Promise<string[]> {
  const links = page.getByRole('navigation', { name: 'Settings' }).getByRole('link');
  await links.first().waitFor();
  return links.allTextContents();
}

/** Whether content overflows horizontally. On phones `innerWidth` grows with the content; `clientWidth` does not. */
export const overflows = (page: Page): Promise<boolean> =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

/** Waits until the wall has exactly `count` cameras and all of them are painted. */
export const waitForWall = (page: Page, count: number): Promise<unknown> =>
  until(
    `${count} cameras are painted`,
    () => wallReport(page),
    (report) => painted(report) === count && Object.keys(report.tiles).length === count,
  );

/** Returns the values that a page has stored in the browser, except cookies. */
export const storedValues = (page: Page): Promise<string> =>
  page.evaluate(() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)]));
