// What the tests of the front door ask of a person: to set the first password, to sign in, to look at a page.
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { launch, painted, until, wallReport } from './browser.ts';
import { startHub, type Hub } from './hub.ts';

/** Configuration for cameras on this machine. */
export const LOCAL = 'allow_local_sources = true\n';
export const PASSWORD = 'a tapir on the roof';
export const PHONE = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

/** The browser of all tests of a file, after `useBrowser`. */
export let browser: Browser;
let opened: Hub | undefined;

/** Starts a browser for the tests of a file. Each test's profiles and hub end with it. */
export function useBrowser(): void {
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser.close());
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    await opened?.stop();
    opened = undefined;
  });
}

/** A hub for one test. */
export async function openHub(...how: Parameters<typeof startHub>): Promise<Hub> {
  opened = await startHub(...how);
  return opened;
}

/** A page in a browser profile of its own. Whatever goes wrong in it fails the test. */
export async function freshPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.on('pageerror', (error) => {
    throw error;
  });
  return page;
}

/** The link that a first start prints. */
export async function firstLink(hub: Hub): Promise<string> {
  const find = (): string | undefined =>
    hub.said
      .map((line) => /https?:\/\/\S+\/sign-in#code=\S+/.exec(line)?.[0])
      .find((link) => link !== undefined);
  const link = await until('the hub prints a link', find, (link) => link !== undefined);
  return link ?? '';
}

/** Sets the first password; the page then is signed in and at the wall. */
export async function setUp(page: Page, hub: Hub, name = 'robin'): Promise<void> {
  await page.goto(await firstLink(hub));
  await page.getByLabel('Your name').fill(name);
  await choosePassword(page);
  await page.waitForURL(`${hub.url}/`);
}

export async function choosePassword(page: Page, password = PASSWORD): Promise<void> {
  await page.getByLabel('New password').fill(password);
  await page.getByLabel('The same again').fill(password);
  await page.getByRole('button', { name: 'Set password and sign in' }).click();
}

export async function signIn(page: Page, name: string, password = PASSWORD): Promise<void> {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Adds a person with one role for all apps and opens their link, in a profile of its own. */
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
  await admin.getByRole('button', { name: 'Add person' }).click();
  const link = await admin.getByRole('textbox', { name: `A link for ${name}` }).inputValue();
  const page = await freshPage(browser);
  await page.goto(link);
  if ((await page.getByLabel('Your name').inputValue()) !== name)
    throw new Error('the link does not say whose it is');
  await choosePassword(page);
  await page.waitForURL(`${hub.url}/`);
  return page;
}

/** What the page's own session gets from a call, made by hand. */
export function byHand(page: Page, method: string, path: string, body?: unknown): Promise<number> {
  return page.evaluate(
    async ([method, path, body]) => {
      const answer = await fetch(`/api/v1/${path}`, {
        method,
        ...(body === undefined ? {} : { body, headers: { 'Content-Type': 'application/json' } }),
      });
      return answer.status;
    },
    [method, path, body === undefined ? undefined : JSON.stringify(body)] as const,
  );
}

/** The names of the panels that the settings offer. */
export async function panels(page: Page): Promise<string[]> {
  const links = page.getByRole('navigation', { name: 'Settings' }).getByRole('link');
  await links.first().waitFor();
  return links.allTextContents();
}

/** Whether something sticks out to the side. A phone's `innerWidth` grows with what does, its `clientWidth` does not. */
export const tooWide = (page: Page): Promise<boolean> =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

/** Waits until the wall has exactly `count` cameras and all of them paint. */
export const shows = (page: Page, count: number): Promise<unknown> =>
  until(
    `${count} cameras paint`,
    () => wallReport(page),
    (report) => painted(report) === count && Object.keys(report.tiles).length === count,
  );

/** What a page keeps in the browser, cookies apart. */
export const kept = (page: Page): Promise<string> =>
  page.evaluate(() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)]));
