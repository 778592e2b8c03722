// Series in a real browser: what netcat sends is drawn, and nothing of it is lost to a page that draws slowly.
import AxeBuilder from 'axe-core';
import { spawn, type ChildProcess } from 'node:child_process';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { PlotReport } from '../plot/series-plot.ts';
import type { CameraTile } from '../player/ocelli.ts';
import { findings, launch, until } from './browser.ts';
import { freshPage, invite, setUp } from './door.ts';
import { startHub, type Hub } from './hub.ts';

const ADMIN = 'sk_0123456789abcdefghijABCDEFGHIJ';

let browser: Browser;
const running: { hub?: Hub; page?: Page; netcats: ChildProcess[]; sockets: Socket[] } = {
  netcats: [],
  sockets: [],
};

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

/** A hub with a camera, and the port for samples. */
async function start(): Promise<{ hub: Hub; port: number }> {
  process.env['OCELLI_ADMIN_TOKEN'] = ADMIN;
  try {
    running.hub = await startHub(['cam1=pattern:?size=320x240&fps=8']);
  } finally {
    delete process.env['OCELLI_ADMIN_TOKEN'];
  }
  const { hub } = running;
  return { hub, port: await samplesPort(hub) };
}

async function samplesPort(hub: Hub): Promise<number> {
  const line = await until(
    'it takes samples',
    () => hub.said.find((line) => line.includes('samples by TCP on')),
    (found) => found !== undefined,
  );
  return Number(line?.split(':').at(-1));
}

async function open(
  hub: Hub,
  path: string,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1100, height: 700 }, ...options });
  running.page = await context.newPage();
  const faults: string[] = [];
  running.page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  running.page.on('pageerror', (error) => faults.push(error.message));
  (running.page as Page & { faults: string[] }).faults = faults;
  await running.page.goto(`${hub.url}${path}`);
  return running.page;
}

const faultsOf = (page: Page): string[] => (page as Page & { faults: string[] }).faults;

/** A source that stays connected: write lines to it. */
function netcat(port: number, name: string): (text: string) => void {
  const child = spawn('nc', ['127.0.0.1', String(port)], { stdio: ['pipe', 'ignore', 'ignore'] });
  running.netcats.push(child);
  child.stdin.write(`${name}\n`);
  return (text) => void child.stdin.write(text);
}

function source(port: number, name: string): Socket {
  const socket = connect(port, '127.0.0.1');
  running.sockets.push(socket);
  socket.write(`${name}\n`);
  return socket;
}

interface Plot extends HTMLElement {
  report(): PlotReport;
  csv(): string;
}

const report = (page: Page): Promise<PlotReport> =>
  page.evaluate(() => {
    const plot = document.querySelector<Plot>('series-plot');
    if (!plot) throw new Error('the page has no plot');
    return plot.report();
  });

const ysOf = (seen: PlotReport, name: string): number[] =>
  seen.series.find((series) => series.name === name)?.ys ?? [];

/** How many pixels of the chart have this colour, roughly. */
const coloured = (page: Page, [red, green, blue]: readonly [number, number, number]): Promise<number> =>
  page.evaluate(
    ([r, g, b]) => {
      const canvas = document.querySelector('series-plot')?.shadowRoot?.querySelector('canvas');
      const pixels = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      let count = 0;
      for (let at = 0; at < pixels.length; at += 4) {
        const near = (index: number, wanted: number): boolean =>
          Math.abs((pixels[at + index] ?? 0) - wanted) < 24;
        if (near(0, r) && near(1, g) && near(2, b) && (pixels[at + 3] ?? 0) > 200) count++;
      }
      return count;
    },
    [red, green, blue] as const,
  );

describe('the page of series', () => {
  it('draws what netcat sends, as it comes', async () => {
    const { hub, port } = await start();
    const page = await open(hub, '/plot', { colorScheme: 'light' });
    const send = netcat(port, 'temp');
    const now = Date.now();
    send(`${now - 2000} 20.5\n${now - 1000} 22\n`);
    await until(
      'both samples are there',
      () => report(page),
      (seen) => ysOf(seen, 'temp').length === 2,
    );
    send(`${now} 19.25\n`);
    const seen = await until(
      'the third too',
      () => report(page),
      (all) => ysOf(all, 'temp').length === 3,
    );
    expect(ysOf(seen, 'temp')).toEqual([20.5, 22, 19.25]);
    // The first colour of the light palette, on the canvas.
    const first = seen.series.findIndex(({ name }) => name === 'temp');
    expect(first).toBeGreaterThanOrEqual(0);
    await page.evaluate(() => {
      document.querySelector('series-plot')?.shadowRoot?.querySelector('select')?.focus();
    });
    const swatch = await page
      .locator('li[data-series="temp"] .swatch')
      .evaluate((element) => getComputedStyle(element).backgroundColor);
    const [red = 0, green = 0, blue = 0] = (swatch.match(/\d+/g) ?? []).map(Number);
    await page.locator('select[aria-label="How much to show"]').selectOption('60000');
    await until(
      'a line is on the canvas',
      () => coloured(page, [red, green, blue]),
      (count) => count > 20,
    );
    expect(await page.locator('li[data-series="temp"] .value').textContent()).toBe('19.25');
    expect(faultsOf(page)).toEqual([]);
  });

  it('gets larger batches when it draws slowly, and loses nothing', async () => {
    const { hub, port } = await start();
    const page = await open(hub, '/plot?series=fast');
    const socket = source(port, 'fast');
    socket.write(`${Date.now()} 0\n`);
    await until(
      'the series is there',
      () => report(page),
      (seen) => ysOf(seen, 'fast').length === 1,
    );
    let next = 1;
    const begun = Date.now();
    const pump = setInterval(() => {
      let text = '';
      for (let count = 0; count < 20; count++) text += `${begun + next} ${next++}\n`;
      socket.write(text);
    }, 10);
    try {
      await until(
        'batches come',
        () => report(page),
        (seen) => seen.batches.length > 20,
      );
      const quick = (await report(page)).batches.slice(-10);
      const before = (await report(page)).batches.length;
      // From here on every line takes 300 ms to draw.
      await page.evaluate(() => {
        // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called on a context below
        const stroke = CanvasRenderingContext2D.prototype.stroke;
        let last = 0;
        CanvasRenderingContext2D.prototype.stroke = function (this: CanvasRenderingContext2D) {
          if (performance.now() - last > 5) {
            const until = performance.now() + 300;
            while (performance.now() < until);
          }
          last = performance.now();
          stroke.apply(this);
        };
      });
      await until(
        'slow batches come',
        () => report(page),
        (seen) => seen.batches.length > before + 8,
        30_000,
      );
      const slow = (await report(page)).batches.slice(-5);
      const mean = (all: readonly number[]): number => all.reduce((sum, one) => sum + one, 0) / all.length;
      expect(mean(slow)).toBeGreaterThan(2 * mean(quick));
    } finally {
      clearInterval(pump);
    }
    const all = await until(
      'the last sample is there',
      () => report(page),
      (seen) => ysOf(seen, 'fast').at(-1) === next - 1,
      30_000,
    );
    // Every sample once, in its order.
    expect(ysOf(all, 'fast')).toEqual(Array.from({ length: next }, (_, index) => index));
    expect(all.series[0]?.missed).toBe(0);
  });

  it('asks for nothing while it stands still, and for all of it afterwards', async () => {
    const { hub, port } = await start();
    const page = await open(hub, '/plot?series=still');
    const socket = source(port, 'still');
    socket.write(`${Date.now()} 1\n`);
    await until(
      'the series is there',
      () => report(page),
      (seen) => ysOf(seen, 'still').length === 1,
    );
    await page.getByRole('button', { name: 'Pause' }).click();
    socket.write(`${Date.now()} 2\n`);
    // The batch that was asked for before may come; nothing is asked for after it.
    await until(
      'it was taken',
      () => report(page),
      (seen) => seen.batches.reduce((sum, count) => sum + count, 0) === 2,
    );
    const { batches } = await report(page);
    socket.write(`${Date.now()} 3\n${Date.now()} 4\n`);
    await page.waitForTimeout(500);
    expect((await report(page)).batches).toEqual(batches);
    await page.getByRole('button', { name: 'Go on' }).click();
    await until(
      'all is there',
      () => report(page),
      (seen) => ysOf(seen, 'still').length === 4,
    );
  });

  it('zooms, pans, and shows the value under the cursor', async () => {
    const { hub, port } = await start();
    const end = Date.now();
    const lines = Array.from({ length: 600 }, (_, index) => `${end - (599 - index) * 1000} ${index}\n`);
    source(port, 'ramp').write(lines.join(''));
    const page = await open(hub, '/plot');
    await until(
      'the ramp is there',
      () => report(page),
      (seen) => ysOf(seen, 'ramp').length === 600,
    );
    const width = async (): Promise<number> => {
      const { range } = await report(page);
      return range ? range.max - range.min : 0;
    };
    await until('ten minutes are shown', width, (wide) => wide === 600_000);
    await page.getByRole('button', { name: '+', exact: true }).click();
    expect(await width()).toBe(300_000);
    const before = (await report(page)).range?.min ?? 0;
    await page.getByRole('button', { name: '◀' }).click();
    expect((await report(page)).range?.min).toBe(before - 75_000);
    // What is shown stands still now.
    source(port, 'ramp').write(`${end + 5000} 600\n`);
    await until(
      'one more is there',
      () => report(page),
      (seen) => ysOf(seen, 'ramp').length === 601,
    );
    expect((await report(page)).range?.min).toBe(before - 75_000);
    await page.getByRole('button', { name: 'Live' }).click();
    await until(
      'the newest is shown',
      async () => (await report(page)).range?.max,
      (max) => max === end + 5000,
    );
    const chart = await page.locator('.u-over').boundingBox();
    if (!chart) throw new Error('no chart');
    await page.mouse.move(chart.x + chart.width / 2, chart.y + chart.height / 2);
    const value = async (): Promise<number> =>
      Number(await page.locator('li[data-series="ramp"] .value').textContent());
    const { range } = await report(page);
    const middle = ((range?.min ?? 0) + (range?.max ?? 0)) / 2;
    const expected = 599 - (end - middle) / 1000;
    await until('the value there is shown', value, (shown) => Math.abs(shown - expected) <= 2);
    // A drag chooses a part.
    await page.mouse.down();
    await page.mouse.move(chart.x + chart.width / 2 + 100, chart.y + 50, { steps: 4 });
    await page.mouse.up();
    await until('a part is shown', width, (wide) => wide > 1000 && wide < 150_000);
  });

  it('hides series, draws X-Y and logarithmic ones, and gives the numbers', async () => {
    const { hub, port } = await start();
    const now = Date.now();
    source(port, 'a, "one"').write(`${now - 1000} 1\n${now} 1000\n`);
    source(port, 'circle').write(
      Array.from({ length: 50 }, (_, i) => `${Math.cos(i / 8)} ${Math.sin(i / 8)}\n`).join(''),
    );
    const page = await open(hub, '/plot');
    await until(
      'both are there',
      () => report(page),
      (seen) => seen.series.length >= 2,
    );
    await until(
      'it is drawn',
      () => report(page),
      (seen) => ysOf(seen, 'a, "one"').length === 2,
    );
    expect(ysOf(await report(page), 'circle')).toEqual([]);
    const csv = await page.evaluate(() => document.querySelector<Plot>('series-plot')?.csv());
    expect(csv).toContain(`"a, ""one""",,${now},${new Date(now).toISOString()},1000`);
    await page.getByRole('button', { name: 'Log' }).click();
    await page.getByRole('button', { name: 'Own scales' }).click();
    await until(
      'it is drawn so',
      () => report(page),
      (seen) => ysOf(seen, 'a, "one"').length === 2,
    );
    await page.locator('li[data-series^="a,"] input').uncheck();
    await until(
      'it is hidden',
      () => report(page),
      (seen) => ysOf(seen, 'a, "one"').length === 0,
    );
    await page.getByRole('button', { name: 'X-Y' }).click();
    const seen = await until(
      'the circle is drawn',
      () => report(page),
      (all) => ysOf(all, 'circle').length === 50 && (all.range?.max ?? 2) < 2,
    );
    expect(seen.range?.min).toBeLessThan(-0.9);
    expect(seen.range?.max).toBeGreaterThan(0.9);
    const [picture] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'PNG' }).click(),
    ]);
    expect(picture.suggestedFilename()).toBe('series.png');
    expect(faultsOf(page)).toEqual([]);
  });

  it('hears of new names and deletions', async () => {
    const { hub, port } = await start();
    source(port, 'old name').write(`${Date.now()} 1\n`);
    const page = await open(hub, '/plot');
    await until(
      'it is there',
      () => report(page),
      (seen) => ysOf(seen, 'old name').length === 1,
    );
    const headers = { Authorization: `Bearer ${ADMIN}`, 'Content-Type': 'application/json' };
    const list = await fetch(`${hub.url}/api/v1/series`, { headers });
    const { data } = (await list.json()) as { data: { id: number; name: string }[] };
    const id = data.find(({ name }) => name === 'old name')?.id ?? 0;
    const body = JSON.stringify({ name: 'new name', unit: '°C' });
    expect((await fetch(`${hub.url}/api/v1/series/${id}`, { method: 'PATCH', headers, body })).status).toBe(
      200,
    );
    await until(
      'the new name is there',
      () => report(page),
      (seen) => ysOf(seen, 'new name').length === 1,
    );
    expect(await page.locator('li[data-series="new name"] .value').textContent()).toBe('1 °C');
    // Whoever may do nothing is offered nothing.
    expect(await page.getByRole('button', { name: 'Delete new name' }).count()).toBe(0);
    expect((await fetch(`${hub.url}/api/v1/series/${id}`, { method: 'DELETE', headers })).status).toBe(200);
    await until(
      'it is gone',
      () => report(page),
      (seen) => !seen.series.some(({ name }) => name === 'new name'),
    );
  });

  it('is readable in dark and light, and on a phone', async () => {
    const { hub, port } = await start();
    source(port, 'temp').write(`${Date.now()} 1\n`);
    for (const [colorScheme, width] of [
      ['light', 1100],
      ['dark', 360],
    ] as const) {
      const page = await open(hub, '/plot', { colorScheme, viewport: { width, height: 700 } });
      await until(
        'it is drawn',
        () => report(page),
        (seen) => ysOf(seen, 'temp').length === 1,
      );
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      await page.evaluate(AxeBuilder.source);
      const violations = await page.evaluate(async () => {
        const axe = (
          window as unknown as {
            axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
          }
        ).axe;
        return (await axe.run()).violations.map(
          ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`,
        );
      });
      expect(violations).toEqual([]);
      expect(faultsOf(page)).toEqual([]);
      await page.context().close();
    }
  });
});

describe('the page of cameras and series', () => {
  it('shows a camera beside a plot, and how far the cursor is from the picture', async () => {
    const { hub, port } = await start();
    const send = netcat(port, 'temp');
    const now = Date.now();
    // Ten minutes, one sample a second: its value tells its place.
    const lines = Array.from({ length: 600 }, (_, index) => `${now - (599 - index) * 1000} ${index}\n`);
    send(lines.join(''));
    const page = await open(hub, '/live#camera=cam1&plot=temp');
    await page.locator('series-plot').waitFor();
    await until(
      'the samples are there',
      () => report(page),
      (seen) => ysOf(seen, 'temp').length === 600,
    );
    const moment = page.locator('.moment[data-camera="cam1"]');
    await until(
      'the picture has a time',
      () => moment.textContent(),
      (text) => /\d:\d\d/.test(text ?? ''),
    );
    const chart = await page.locator('.u-over').boundingBox();
    if (!chart) throw new Error('no chart');
    await page.mouse.move(chart.x + chart.width / 4, chart.y + 20);
    const { range } = await report(page);
    if (!range) throw new Error('nothing is drawn');
    const under = range.min + (range.max - range.min) / 4;
    // The value of that moment stands in the list, and how long before the picture it was beside the picture.
    const value = async (): Promise<number> =>
      Number(await page.locator('li[data-series="temp"] .value').textContent());
    await until('its value is told', value, (shown) => Math.abs(shown - (599 - (now - under) / 1000)) <= 2);
    const told = await until(
      'its distance is told',
      async () => {
        const text = await moment.textContent();
        const captured = await page.evaluate(
          () => document.querySelector<CameraTile>('camera-tile')?.tileState()?.captureTime ?? 0,
        );
        const [, minutes] = /the cursor is (\d+) min before this picture/.exec(text ?? '') ?? [];
        return { minutes: Number(minutes), captured };
      },
      ({ minutes }) => minutes > 0,
    );
    expect(Math.abs(told.minutes - (told.captured / 1000 - under) / 60_000)).toBeLessThan(0.6);
    await page.mouse.move(chart.x + chart.width / 4, chart.y + chart.height + 60);
    await until(
      'without a cursor it is not',
      () => moment.textContent(),
      (text) => !(text ?? '').includes('cursor'),
    );
    // One more plot, of all series: the address has it, and so has the next visit.
    await page.getByRole('button', { name: 'Add a plot' }).click();
    await until(
      'two plots',
      () => page.locator('series-plot').count(),
      (count) => count === 2,
    );
    expect(page.url()).toContain('plot=temp&plot=');
    await page.goto(`${hub.url}/live`);
    await until(
      'both are there again',
      () => page.locator('series-plot').count(),
      (count) => count === 2,
    );
    expect(await page.locator('camera-tile').count()).toBe(1);
    expect(faultsOf(page)).toEqual([]);
  });

  it('says which clocks are off, and how far, until they are right', async () => {
    const { hub, port } = await start();
    const slow = netcat(port, 'slow');
    const right = netcat(port, 'right');
    slow(`${Date.now() - 12_300} 1\n`);
    right(`${Date.now()} 1\n`);
    const page = await open(hub, '/live#camera=cam1&plot=');
    const clock = (name: string): Promise<string | null> =>
      page.locator(`li[data-series="${name}"] .clock`).textContent();
    await until(
      'the offset is shown',
      () => clock('slow'),
      (text) => text === 'clock 12 s behind',
    );
    expect(await clock('right')).toBe('');
    slow(`${Date.now()} 2\n`);
    await until(
      'it is right now',
      () => clock('slow'),
      (text) => text === '',
    );
    expect(faultsOf(page)).toEqual([]);
  });
});

describe('the panel of series', () => {
  it('lists series and who writes them, warns of a port that is taken, renames and deletes', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    try {
      const hub = await startHub([], 0, `[telemetry]\nws = "${taken}"\n`);
      running.hub = hub;
      const port = await samplesPort(hub);
      const page = await freshPage(browser);
      running.page = page;
      await setUp(page, hub);
      await page.goto(`${hub.url}/settings#series`);
      await page.getByText(`${taken}: Address already in use`).waitFor();
      await page.getByText('No series yet').waitFor();
      expect(await findings(page)).toEqual([]);

      const send = netcat(port, 'boiler');
      send(`${Date.now()} 61.5\nwarm\n`);
      const list = page.getByRole('list', { name: 'Series' });
      await list.getByText('1 point · newest 61.5 · just now · 1 source').waitFor();
      await list.getByText('1 line was left out, the last: “warm”').waitFor();
      const sources = page.getByRole('list', { name: 'Who writes' });
      await sources.getByText('connected').waitFor();
      await sources.getByText(/^boiler · 1 point · since /).waitFor();
      await sources.getByText('127.0.0.1:').waitFor();
      expect(await findings(page)).toEqual([]);

      await page.getByRole('link', { name: 'Edit boiler' }).click();
      await page.getByLabel('Name').fill('heating');
      await page.getByLabel('Unit').fill('°C');
      await page.getByRole('button', { name: 'Save' }).click();
      await list.getByText('newest 61.5 °C').waitFor();
      send(`${Date.now()} 62\n`);
      await list.getByText('2 points · newest 62 °C').waitFor();
      running.netcats.pop()?.kill();
      await sources.getByText(/ended .*: /).waitFor();

      await page.getByRole('button', { name: 'Delete heating' }).click();
      const dialog = page.getByRole('dialog', { name: 'Delete “heating”?' });
      await dialog.getByRole('button', { name: 'Delete series' }).click();
      await page.getByText('No series yet').waitFor();
      const viewer = await invite(page, browser, hub, 'vic', 'viewer');
      source(port, 'seen').write(`${Date.now()} 1\n`);
      await viewer.goto(`${hub.url}/settings#series`);
      await viewer.getByRole('link', { name: 'seen' }).waitFor();
      expect(await viewer.getByRole('link', { name: 'Edit seen' }).count()).toBe(0);
      expect(await viewer.getByRole('button', { name: 'Delete seen' }).count()).toBe(0);
      await viewer.context().close();
    } finally {
      other.close();
    }
  });
});
