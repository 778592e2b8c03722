// Helpers for tests of series: a hub that receives samples, sources that send them, and a page with a plot.
import { spawn, type ChildProcess } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { PlotReport } from '../plot/series-plot.ts';
import { launch, until } from './browser.ts';
import { startHub, type Hub } from './hub.ts';

export const ADMIN = 'sk_0123456789abcdefghijABCDEFGHIJ';

export let browser: Browser;
export const running: { hub?: Hub; page?: Page; netcats: ChildProcess[]; sockets: Socket[] } = {
  netcats: [],
  sockets: [],
};

/** Starts a browser for the tests of a file, and cleans up after each test. */
export function withBrowser(): void {
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(async () => {
    await browser.close();
  });
  afterEach(async () => {
    for (const netcat of running.netcats.splice(0)) netcat.kill();
    for (const socket of running.sockets.splice(0)) socket.destroy();
    await running.page?.context().close();
    await running.hub?.stop();
  });
}

/** Starts a hub with a camera. Returns it with its port for samples. */
export async function start(): Promise<{ hub: Hub; port: number }> {
  process.env['OCELLI_ADMIN_TOKEN'] = ADMIN;
  try {
    running.hub = await startHub(['cam1=pattern:?size=320x240&fps=8']);
  } finally {
    delete process.env['OCELLI_ADMIN_TOKEN'];
  }
  const { hub } = running;
  return { hub, port: await samplesPort(hub) };
}

export async function samplesPort(hub: Hub): Promise<number> {
  const line = await until(
    'the hub accepts samples',
    () => hub.output.find((line) => line.includes('samples over TCP on')),
    (found) => found !== undefined,
  );
  return Number(line?.split(':').at(-1));
}

export async function open(
  hub: Hub,
  path: string,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1100, height: 700 }, ...options });
  running.page = await context.newPage();
  const errors: string[] = [];
  running.page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  running.page.on('pageerror', (error) => errors.push(error.message));
  (running.page as Page & { errors: string[] }).errors = errors;
  await running.page.goto(`${hub.url}${path}`);
  return running.page;
}

export const errorsOf = (page: Page): string[] => (page as Page & { errors: string[] }).errors;

/** Starts a source that stays connected. Returns a function that sends text. */
export function netcat(port: number, name: string): (text: string) => void {
  const child = spawn('nc', ['127.0.0.1', String(port)], { stdio: ['pipe', 'ignore', 'ignore'] });
  running.netcats.push(child);
  child.stdin.write(`${name}\n`);
  return (text) => void child.stdin.write(text);
}

export function source(port: number, name: string): Socket {
  const socket = connect(port, '127.0.0.1');
  running.sockets.push(socket);
  socket.write(`${name}\n`);
  return socket;
}

export interface Plot extends HTMLElement {
  report(): PlotReport;
  csv(): string;
}

export const report = (page: Page): Promise<PlotReport> =>
  page.evaluate(() => {
    const plot = document.querySelector<Plot>('series-plot');
    if (!plot) throw new Error('the page has no plot');
    return plot.report();
  });

export const ysOf = (plot: PlotReport, name: string): number[] =>
  plot.series.find((series) => series.name === name)?.ys ?? [];
