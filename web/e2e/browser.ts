// Launches a real Chromium, and reads the state of a wall in it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, type Browser, type Page } from 'playwright-core';

const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

interface Launch {
  /** Additional browser flags. */
  readonly flags?: readonly string[];
  /** The home directory, where the browser looks for certificate authorities trusted by the user. */
  readonly home?: string;
}

export const launch = ({ flags = [], home = process.env['HOME'] ?? '' }: Launch = {}): Promise<Browser> =>
  chromium.launch({
    executablePath: EXECUTABLE,
    args: [...FLAGS, ...flags],
    env: { ...process.env, HOME: home },
  });

export interface TileReport {
  readonly painted: number;
  readonly age: number;
  readonly paintedAge: number;
  readonly fps: number;
  readonly captureTime: number;
  readonly width: number;
  readonly height: number;
  readonly frozen: boolean;
  readonly codec: string;
  readonly codecReason: string;
  readonly step: string;
}

interface Wall extends HTMLElement {
  readonly cameras: { readonly id: string }[];
  readonly link: string;
  readonly solo: string | undefined;
  readonly paintsIn: string;
  tileState(id: string): TileReport | undefined;
  readTile(id: string): Promise<{ width: number; height: number; data: Uint8ClampedArray } | undefined>;
}

export interface WallReport {
  readonly link: string;
  readonly solo: string | undefined;
  readonly paintsIn: string;
  readonly tiles: Readonly<Record<string, TileReport | null>>;
}

/** Returns the state of the page's wall. */
export function wallReport(page: Page): Promise<WallReport> {
  return page.evaluate(() => {
    const wall = document.querySelector<Wall>('camera-wall');
    if (!wall) throw new Error('the page has no wall');
    const tiles = Object.fromEntries(wall.cameras.map(({ id }) => [id, wall.tileState(id) ?? null]));
    return { link: wall.link, solo: wall.solo, paintsIn: wall.paintsIn, tiles };
  });
}

/** Polls `read` until `isMet` returns true for its value. The error includes the last value. */
export async function until<T>(
  condition: string,
  read: () => Promise<T> | T,
  isMet: (value: T) => boolean,
  timeout = 20_000,
): Promise<T> {
  const end = Date.now() + timeout;
  for (;;) {
    const value = await read();
    if (isMet(value)) return value;
    if (Date.now() > end)
      throw new Error(`timed out waiting until ${condition}; last value: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export const painted = (report: WallReport, minimum = 1): number =>
  Object.values(report.tiles).filter((tile) => (tile?.painted ?? 0) >= minimum).length;

/**
 * Reads the capture time that a pattern camera draws into its picture. The bottom twelfth has 32 blocks: from left to
 * right, the bits 31 to 0 of the ms since the epoch modulo 2^32.
 */
export function readClock(page: Page, camera: string, element = 'camera-wall'): Promise<number | undefined> {
  return page.evaluate(
    async ([id, selector]) => {
      const screen = document.querySelector<Wall>(selector);
      const pixels = await screen?.readTile(id);
      if (!pixels) return undefined;
      const { width, height, data } = pixels;
      const y = Math.min(height - 1, Math.round(height - height / 24));
      let value = 0;
      for (let block = 0; block < 32; block++) {
        const x = Math.floor(((block + 0.5) * width) / 32);
        const at = (y * width + x) * 4;
        const luma = 0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0);
        value = value * 2 + (luma > 128 ? 1 : 0);
      }
      return value;
    },
    [camera, element] as const,
  );
}

/** Returns the ms between the time in the picture and now, with wraparound at 2^32. */
export function clockAge(value: number): number {
  const difference = (((Date.now() % 2 ** 32) - value + 2 ** 32) % 2 ** 32) | 0;
  return difference;
}

/** Sets the page's visibility state, because a headless tab is never hidden. */
export async function setVisibility(page: Page, state: 'hidden' | 'visible'): Promise<void> {
  await page.evaluate((value) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value });
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => value === 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
}

/** Returns the serious and critical findings of axe. */
export async function axeFindings(page: Page): Promise<string[]> {
  interface Violation {
    readonly id: string;
    readonly impact: string | null;
    readonly nodes: readonly { readonly html: string }[];
  }
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } };
    return (await axe.run()).violations;
  });
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
}
