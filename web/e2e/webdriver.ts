// Starts Firefox and WebKitGTK, which Playwright drives only in versions of its own. Both speak WebDriver: Firefox over
// a socket (Marionette), WebKitGTK over HTTP.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './browser.ts';

const FIREFOX = process.env['FIREFOX'] ?? 'firefox-esr';
const WEBKIT = process.env['WEBKIT_WEBDRIVER'] ?? 'WebKitWebDriver';
const START_TIMEOUT = 40_000;
const REQUIRED = { acceptInsecureCerts: true };
const CAPABILITIES = { capabilities: { alwaysMatch: REQUIRED } };

export interface WebDriverBrowser {
  readonly version: string;
  open(url: string): Promise<void>;
  /** Runs the body of an async function in the page, with `args` as its arguments. Returns its result. */
  run(body: string, ...args: unknown[]): Promise<unknown>;
  /** Clicks at these coordinates of the window, as a person does. */
  click(x: number, y: number): Promise<void>;
  /** A PNG. */
  screenshot(): Promise<Buffer>;
  close(): Promise<void>;
}

/** A script for WebDriver, whose last argument is the callback for the result. */
const asScript = (body: string): string =>
  `const done = arguments[arguments.length - 1];
  (async (...args) => {${body}})(...[...arguments].slice(0, -1))
    .then((value) => done({ value }), (error) => done({ error: String(error) }));`;

/** The actions of a click (WebDriver, 17.4). */
const clickAt = (x: number, y: number): object => ({
  actions: [
    {
      type: 'pointer',
      id: 'mouse',
      actions: [
        { type: 'pointerMove', duration: 0, x: Math.round(x), y: Math.round(y) },
        { type: 'pointerDown', button: 0 },
        { type: 'pointerUp', button: 0 },
      ],
    },
  ],
});

/** Returns the value of such a script. */
function valueOf(result: unknown): unknown {
  const { error, value } = result as { error?: string; value?: unknown };
  if (error !== undefined) throw new Error(error);
  return value;
}

/** Rejects if the program can't be started. */
const failureOf = (child: ChildProcess): Promise<never> =>
  new Promise((_, reject) => child.once('error', reject));

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  if (child.pid === undefined) return;
  // The negative number is the group, which includes the processes of the pages.
  process.kill(-child.pid, 'SIGKILL');
  await ended;
}

/** `preferences` are those of `about:config`. */
export async function startFirefox(
  preferences: Readonly<Record<string, string | number>> = {},
): Promise<WebDriverBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'ocelli-firefox-'));
  const settings = {
    'marionette.port': 0,
    'app.update.disabledForTesting': true,
    'browser.startup.page': 0,
    'services.settings.server': 'data:,',
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    ...preferences,
  };
  const lines = Object.entries(settings).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  await writeFile(join(profile, 'user.js'), lines.join(''));
  const child = spawn(FIREFOX, ['--headless', '--no-remote', '--marionette', '--profile', profile], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, HOME: profile },
  });
  const close = async (): Promise<void> => {
    await end(child);
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const readPort = (): Promise<string> =>
      readFile(join(profile, 'MarionetteActivePort'), 'utf8').catch(() => '');
    const listening = until('Firefox listens', readPort, (text) => Number(text) > 0, START_TIMEOUT);
    const command = marionette(Number(await Promise.race([listening, failureOf(child)])));
    const session = (await command('NewSession', CAPABILITIES)) as {
      capabilities: { browserVersion: string };
    };
    const ask = async (name: string, parameters: object): Promise<unknown> =>
      ((await command(name, parameters)) as { value: unknown }).value;
    return {
      version: session.capabilities.browserVersion,
      open: async (url) => {
        await command('Navigate', { url });
      },
      run: async (body, ...args) =>
        valueOf(await ask('ExecuteAsyncScript', { script: asScript(body), args })),
      click: async (x, y) => {
        await command('PerformActions', clickAt(x, y));
      },
      screenshot: async () => Buffer.from(String(await ask('TakeScreenshot', { full: false })), 'base64'),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Connects to Firefox. A message is its length, a colon and JSON. */
function marionette(port: number): (name: string, parameters: object) => Promise<unknown> {
  const socket = connect(port, '127.0.0.1');
  const pending = new Map<number, (error: unknown, result: unknown) => void>();
  let received: Buffer = Buffer.alloc(0);
  let number = 0;
  const fail = (error: unknown): void => pending.forEach((settle) => settle(error, undefined));
  socket.on('error', (error) => fail(error.message));
  socket.on('close', () => fail('Firefox has ended'));
  socket.on('data', (data: Buffer) => {
    received = Buffer.concat([received, data]);
    for (;;) {
      const colon = received.indexOf(':');
      const length = Number(received.subarray(0, Math.max(0, colon)).toString());
      if (colon < 0 || received.length < colon + 1 + length) return;
      const message: unknown = JSON.parse(received.subarray(colon + 1, colon + 1 + length).toString());
      received = received.subarray(colon + 1 + length);
      // The first message, which describes the browser, is an object.
      if (!Array.isArray(message)) continue;
      const [, id, error, result] = message as [number, number, unknown, unknown];
      pending.get(id)?.(error, result);
      pending.delete(id);
    }
  });
  return (name, parameters) =>
    new Promise((resolve, reject) => {
      number += 1;
      pending.set(number, (error, result) => {
        if (error) reject(new Error(`${name}: ${JSON.stringify(error).slice(0, 300)}`));
        else resolve(result);
      });
      const text = JSON.stringify([0, number, `WebDriver:${name}`, parameters]);
      socket.write(`${Buffer.byteLength(text)}:${text}`);
    });
}

/** `proxyPort` is the port of an HTTP proxy on this machine. */
export async function startWebKit(proxyPort?: number): Promise<WebDriverBrowser> {
  const proxy = proxyPort !== undefined && {
    proxy: { proxyType: 'manual', httpProxy: `127.0.0.1:${proxyPort}` },
  };
  const capabilities = { capabilities: { alwaysMatch: { ...REQUIRED, ...proxy } } };
  const home = await mkdtemp(join(tmpdir(), 'ocelli-webkit-'));
  const screen = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const display = await new Promise<string>((resolve, reject) => {
    screen.stdio[3]?.once('data', (data: Buffer) => resolve(`:${data.toString().trim()}`));
    screen.once('error', reject);
    screen.once('exit', () => reject(new Error('Xvfb did not start')));
  });
  const port = await freePort();
  const driver = spawn(WEBKIT, [`--port=${port}`], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, HOME: home, DISPLAY: display, GDK_BACKEND: 'x11' },
  });
  const close = async (): Promise<void> => {
    await end(driver);
    await end(screen);
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  };
  const call = async (method: string, path: string, body?: object): Promise<unknown> => {
    const address = `http://127.0.0.1:${port}${path}`;
    const response = await fetch(address, { method, ...(body && { body: JSON.stringify(body) }) });
    const { value } = (await response.json()) as { value: unknown };
    if (!response.ok) throw new Error(`${path}: ${JSON.stringify(value).slice(0, 300)}`);
    return value;
  };
  try {
    const status = (): Promise<unknown> => call('GET', '/status').catch(() => undefined);
    const listening = until('WebKit listens', status, (value) => value !== undefined, START_TIMEOUT);
    await Promise.race([listening, failureOf(driver)]);
    const session = (await call('POST', '/session', capabilities)) as {
      sessionId: string;
      capabilities: { browserVersion: string };
    };
    const base = `/session/${session.sessionId}`;
    return {
      version: session.capabilities.browserVersion,
      open: async (url) => {
        await call('POST', `${base}/url`, { url });
      },
      run: async (body, ...args) =>
        valueOf(await call('POST', `${base}/execute/async`, { script: asScript(body), args })),
      click: async (x, y) => {
        await call('POST', `${base}/actions`, clickAt(x, y));
      },
      screenshot: async () => Buffer.from(String(await call('GET', `${base}/screenshot`)), 'base64'),
      close: async () => {
        // The browser is a process of its own.
        await call('DELETE', base).catch(() => undefined);
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
