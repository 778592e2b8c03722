// A page of one hub and a session at another hub on the same host. Browsers treat them as the same site and send the
// cookie, but the page must not be able to use the session.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, until } from './browser.ts';
import { patterns, startHub, type Hub } from './hub.ts';

let browser: Browser;
let ownHub: Hub;
let otherHub: Hub;
let foreignServer: { url: string; cookies: string[]; server: Server };

/** Starts a server on the same machine that serves a page and records the cookies of its requests. */
async function startForeignServer(): Promise<typeof foreignServer> {
  const cookies: string[] = [];
  const server = createServer((request, response) => {
    cookies.push(request.headers.cookie ?? '');
    response.setHeader('Content-Type', 'text/html').end('<title>Another server</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, cookies, server };
}

beforeAll(async () => {
  browser = await launch();
  ownHub = await startHub(patterns(1), 0, '[app.live]\npublic_playback = false\n');
  otherHub = await startHub(patterns(1));
  foreignServer = await startForeignServer();
});

afterAll(async () => {
  await browser.close();
  await ownHub.stop();
  await otherHub.stop();
  foreignServer.server.close();
});

/** Creates the first user of a hub and signs the page in. */
async function setUp(page: Page, hub: Hub): Promise<void> {
  const link = await until(
    'the hub prints a link',
    () => hub.output.map((line) => /#code=(\w+)/.exec(line)?.[1]).find(Boolean),
    (code) => code !== undefined,
  );
  await page.goto(`${hub.url}/api/v1/docs`);
  const status = await page.evaluate(async (code) => {
    const body = JSON.stringify({ code, name: 'ann', password: 'correct horse battery' });
    const headers = { 'Content-Type': 'application/json' };
    return (await fetch('/api/v1/setup', { method: 'POST', headers, body })).status;
  }, link);
  expect(status).toBe(200);
}

/** Returns the ids of the cameras that a hub lists to this page. */
const wallOf = (page: Page, hub: Hub): Promise<string[]> =>
  page.evaluate(
    (url) =>
      new Promise<string[]>((resolve, reject) => {
        const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/cameras`, 'ocelli.v2');
        socket.onmessage = ({ data }) => {
          if (typeof data !== 'string') return;
          const { type, cameras } = JSON.parse(data) as { type: string; cameras: { id: string }[] };
          if (type !== 'hello') return;
          socket.close();
          resolve(cameras.map(({ id }) => id));
        };
        socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
      }),
    hub.url,
  );

/** Whether this page can show a hub's picture. */
const canLoadPicture = (page: Page, hub: Hub): Promise<boolean> =>
  page.evaluate(
    (url) =>
      new Promise<boolean>((resolve) => {
        const image = new Image();
        image.onload = () => resolve(true);
        image.onerror = () => resolve(false);
        image.src = `${url}/live/live/cam1/frame.jpg?at=${Math.random()}`;
      }),
    hub.url,
  );

test('a page on another port cannot use the session of this hub', async () => {
  const context = await browser.newContext();
  const ownPage = await context.newPage();
  await setUp(ownPage, ownHub);
  const otherPage = await context.newPage();
  await setUp(otherPage, otherHub);

  // Both are signed in, each at its own hub: the cookies do not overwrite each other.
  for (const page of [ownPage, otherPage]) {
    const name = await page.evaluate(async () => {
      const session = (await (await fetch('/api/v1/session')).json()) as {
        data: { user: { name: string } | null };
      };
      return session.data.user?.name;
    });
    expect(name).toBe('ann');
  }
  expect(await wallOf(ownPage, ownHub)).toEqual(['cam1']);
  expect(await canLoadPicture(ownPage, ownHub)).toBe(true);

  // The other hub's page sees only public cameras.
  expect(await wallOf(otherPage, ownHub)).toEqual([]);

  // A page of another program on a third port, which also receives the cookie, sees no more.
  await otherPage.goto(foreignServer.url);
  const [cookie] = (await context.cookies(ownHub.url)).filter(({ name }) => name.startsWith('ocelli_'));
  expect(foreignServer.cookies.join()).toContain(cookie?.name);
  expect(await wallOf(otherPage, ownHub)).toEqual([]);
  expect(await canLoadPicture(otherPage, ownHub)).toBe(false);

  const read = otherPage.evaluate(
    async (url) => (await fetch(`${url}/api/v1/users`, { credentials: 'include' })).status,
    ownHub.url,
  );
  await expect(read).rejects.toThrow('Failed to fetch');
  const signOut = otherPage.evaluate(
    async (url) =>
      (await fetch(`${url}/api/v1/session`, { method: 'DELETE', credentials: 'include' })).status,
    ownHub.url,
  );
  await expect(signOut).rejects.toThrow('Failed to fetch');
  // A no-cors request is sent without a preflight, and must not change anything.
  await otherPage.evaluate(async (url) => {
    const body = JSON.stringify({ name: 'w', cameras: ['cam1'] });
    await fetch(`${url}/api/v1/walls`, { method: 'POST', mode: 'no-cors', credentials: 'include', body });
  }, ownHub.url);
  const walls = await ownPage.evaluate(async () => {
    const listed = (await (await fetch('/api/v1/walls')).json()) as { total: number };
    return listed.total;
  });
  expect(walls).toBe(0);
  await context.close();
});
