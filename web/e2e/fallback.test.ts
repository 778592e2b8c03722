import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launch, setVisibility, until, wallReport } from './browser.ts';
import { patterns, startHub, type Hub } from './hub.ts';

let browser: Browser;
let page: Page;
let hub: Hub;
let proxy: Awaited<ReturnType<typeof startProxy>>;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

afterEach(async () => {
  await page.context().close();
  await proxy.stop();
  await hub.stop();
});

/** A misconfigured reverse proxy: it forwards pages and pictures, but no WebSockets. */
async function startProxy(target: Hub): Promise<{
  url: string;
  sockets: boolean;
  running: Set<string>;
  stop: () => Promise<void>;
}> {
  const running = new Set<string>();
  const { Agent, request } = await import('node:http');
  const agent = new Agent();
  const host = `127.0.0.1:${target.port}`;
  const server = createServer((incoming, response) => {
    const path = incoming.url ?? '/';
    const forward = request(
      {
        agent,
        host: '127.0.0.1',
        port: target.port,
        path,
        method: incoming.method,
        headers: { ...incoming.headers, host },
      },
      (upstream) => {
        response.writeHead(upstream.statusCode ?? 502, upstream.headers);
        upstream.pipe(response);
      },
    );
    if (path.includes('/mjpeg')) {
      running.add(path);
      response.on('close', () => running.delete(path));
    }
    response.on('close', () => forward.destroy());
    forward.on('error', () => response.destroy());
    forward.end();
  });
  const state = { url: '', sockets: false, running, stop: () => closeAll(server) };
  server.on('upgrade', (incoming: IncomingMessage, socket) => {
    if (!state.sockets) {
      socket.end('HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const forward = connect(target.port, '127.0.0.1', () => {
      const headers = { ...incoming.headers, host, origin: target.url };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
      forward.write(`GET ${incoming.url ?? '/'} HTTP/1.1\r\n${lines.join('')}\r\n`);
      forward.pipe(socket).pipe(forward);
    });
    forward.on('error', () => socket.destroy());
    socket.on('error', () => forward.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return state;
}

function closeAll(server: ReturnType<typeof createServer>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Returns the paths of the fallback images that show a picture. */
const images = (): Promise<string[]> =>
  page.evaluate(() =>
    [...(document.querySelector('camera-wall')?.shadowRoot?.querySelectorAll('img') ?? [])]
      .filter((image) => image.naturalWidth > 0)
      .map((image) => new URL(image.src).pathname),
  );

test('without sockets the wall falls back to MJPEG and snapshots until the socket is back', async () => {
  hub = await startHub(patterns(7));
  proxy = await startProxy(hub);
  page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  await page.goto(proxy.url);
  await until(
    'the fallback starts',
    () => wallReport(page),
    ({ link }) => link === 'fallback',
    30_000,
  );
  await page.getByRole('status').filter({ hasText: 'MJPEG' }).waitFor();
  const shown = await until('all seven are shown', images, (paths) => paths.length === 7, 30_000);
  expect(shown.filter((path) => path.endsWith('/mjpeg')).length).toBe(4);
  expect(shown.filter((path) => path.endsWith('/frame.jpg')).length).toBe(3);
  expect(proxy.running.size).toBe(4);
  const snapshots = (): Promise<string[]> =>
    page.evaluate(() =>
      [...(document.querySelector('camera-wall')?.shadowRoot?.querySelectorAll('img') ?? [])]
        .map((image) => image.src)
        .filter((src) => src.includes('frame.jpg')),
    );
  const first = await snapshots();
  await until('snapshots are taken again', snapshots, (now) => now.every((src) => !first.includes(src)));

  const plays = (camera: string): boolean =>
    [...proxy.running].some((path) => path.includes(`/${camera}/mjpeg`));
  await page.getByRole('button', { name: /^cam7,/ }).focus();
  await until(
    'the focused camera plays, and only four play in total',
    () => [plays('cam7'), proxy.running.size],
    ([playing, count]) => playing === true && count === 4,
  );
  await page.keyboard.press('Space');
  await until(
    'the frozen camera stops and another plays',
    () => [plays('cam7'), proxy.running.size],
    ([playing, count]) => playing === false && count === 4,
  );
  await page.getByRole('listitem').filter({ hasText: 'cam7' }).getByText('Frozen').first().waitFor();
  await page.keyboard.press('Space');
  await until('the camera resumes', () => plays('cam7'), Boolean);

  await setVisibility(page, 'hidden');
  await until(
    'a hidden tab plays nothing',
    () => proxy.running.size,
    (count) => count === 0,
  );
  await setVisibility(page, 'visible');
  await until(
    'four cameras play again',
    () => proxy.running.size,
    (count) => count === 4,
  );

  proxy.sockets = true;
  await until(
    'the socket is back',
    () => wallReport(page),
    ({ link }) => link === 'open',
    30_000,
  );
  await until(
    'all cameras are painted',
    () => wallReport(page),
    ({ tiles }) =>
      Object.values(tiles).length === 7 && Object.values(tiles).every((tile) => (tile?.painted ?? 0) > 0),
  );
  await until(
    'no MJPEG stream is left',
    () => proxy.running.size,
    (count) => count === 0,
  );
  expect(await images()).toEqual([]);
});
