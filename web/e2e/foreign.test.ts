// Tests the origin policy with a real browser: a page of another host, a page whose host name points to the hub (DNS
// rebinding), and a page of another hub on the same machine.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, until } from './browser.ts';
import { patterns, startHub, type Hub } from './hub.ts';

/** Every public socket, with each of its subprotocols. */
const SOCKETS = [
  ['/ws/cameras', ''],
  ['/ws/cameras', 'ocelli.v2'],
  ['/live/ws?app=live&room=cam1', ''],
  ['/live/ws?app=live&room=live-cam1', ''],
] as const;

let browser: Browser;
let foreign: Server;
let foreignPort: number;
let hub: Hub;
let otherHub: Hub;
let permissive: Hub;

beforeAll(async () => {
  // Host names that resolve to this machine, as an attacker's domain may.
  const names = ['evil.example', 'dash.example'].map((name) => `MAP ${name} 127.0.0.1`);
  browser = await launch({ flags: [`--host-resolver-rules=${names.join(',')}`] });
  foreign = createServer((_, response) => {
    response.setHeader('Content-Type', 'text/html').end('<title>Another host</title>');
  });
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
  foreignPort = (foreign.address() as AddressInfo).port;
  hub = await startHub(patterns(1));
  otherHub = await startHub(patterns(1));
  const allowed = `allowed_origins = ["http://dash.example:${foreignPort}"]\n`;
  permissive = await startHub(patterns(1), 0, allowed);
});

afterAll(async () => {
  await browser.close();
  foreign.close();
  await Promise.all([hub, otherHub, permissive].map((running) => running.stop()));
});

async function pageAt(address: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(address);
  return page;
}

/** Opens a socket. Returns `picture`, or the close code. */
const trySocket = (page: Page, host: string, [path, protocol]: readonly [string, string]): Promise<string> =>
  page.evaluate(
    ([url, name]) =>
      new Promise<string>((resolve) => {
        const socket = new WebSocket(url, name ? [name] : []);
        socket.onopen = () => {
          if (url.endsWith('/ws/cameras')) socket.send('{"cmd":"subscribe","cameras":["cam1"]}');
        };
        socket.onmessage = ({ data }) => {
          if (typeof data === 'string') return;
          resolve('picture');
          socket.close();
        };
        socket.onclose = ({ code }) => resolve(`closed with ${code}`);
      }),
    [`ws://${host}${path}`, protocol] as const,
  );

/** Fetches the list of cameras. Returns the status and text, or the exception. */
const tryFetch = (page: Page, host: string): Promise<string> =>
  page.evaluate(async (url) => {
    try {
      const response = await fetch(url);
      return `${response.status} ${await response.text()}`;
    } catch (error) {
      return String(error);
    }
  }, `http://${host}/api/v1/cameras`);

/** Waits for a line of the hub's log that contains all these fragments. */
const logged = (source: Hub, ...fragments: string[]): Promise<string | undefined> =>
  until(
    `the log contains ${fragments.join(', ')}`,
    () => source.output.find((line) => fragments.every((fragment) => line.includes(fragment))),
    (line) => line !== undefined,
  );

test('a page of another host cannot open a socket or read anything', async () => {
  const host = `127.0.0.1:${hub.port}`;
  const page = await pageAt(`http://evil.example:${foreignPort}/`);
  for (const socket of SOCKETS)
    expect(await trySocket(page, host, socket), socket.join()).toBe('closed with 1006');
  expect(await tryFetch(page, host)).toContain('Failed to fetch');
  for (const path of ['/ws/cameras', '/live/ws']) {
    const origin = `pages from "http://evil.example:${foreignPort}" may not open sockets`;
    await logged(hub, path, origin, 'allowed_origins', 'peer=127.0.0.1:');
  }
  await page.close();
});

test('requests with a foreign host name are refused', async () => {
  for (const target of [hub, permissive]) {
    const host = `dash.example:${target.port}`;
    const page = await browser.newPage();
    const response = await page.goto(`http://${host}/`);
    expect(response?.status()).toBe(403);
    expect(await response?.text()).toContain(`"${host}" is not a name of this hub`);
    // The browser considers this page same-origin, so only the hub can refuse it.
    expect(await tryFetch(page, host)).toMatch(/^403 .*is not a name of this hub/);
    for (const socket of SOCKETS)
      expect(await trySocket(page, host, socket), socket.join()).toBe('closed with 1006');
    await logged(target, 'refused a request', `"${host}" is not a name of this hub`, 'peer=127.0.0.1:');
    await page.close();
  }
});

test('only a page of an allowed origin opens every socket and reads the camera list', async () => {
  const host = `127.0.0.1:${permissive.port}`;
  const allowedPage = await pageAt(`http://dash.example:${foreignPort}/`);
  for (const socket of SOCKETS)
    expect(await trySocket(allowedPage, host, socket), socket.join()).toBe('picture');
  expect(await tryFetch(allowedPage, host)).toMatch(/^200 .*cam1/);
  // The origin is allowed on that hub only.
  expect(await trySocket(allowedPage, `127.0.0.1:${hub.port}`, SOCKETS[0])).toBe('closed with 1006');
  const foreignPage = await pageAt(`http://evil.example:${foreignPort}/`);
  expect(await trySocket(foreignPage, host, SOCKETS[0])).toBe('closed with 1006');
  expect(await tryFetch(foreignPage, host)).toContain('Failed to fetch');
  await allowedPage.close();
  await foreignPage.close();
});

test('a page of another hub on this machine opens every socket', async () => {
  const page = await pageAt(`${otherHub.url}/api/v1/docs`);
  for (const name of ['127.0.0.1', 'localhost']) {
    for (const socket of SOCKETS) {
      expect(await trySocket(page, `${name}:${hub.port}`, socket), socket.join()).toBe('picture');
    }
  }
  await page.close();
});
