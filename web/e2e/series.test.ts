// Series in a real browser: samples sent by netcat are drawn, and a page that draws slowly loses none.
import AxeBuilder from 'axe-core';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { until } from './browser.ts';
import {
  ADMIN,
  errorsOf,
  netcat,
  open,
  report,
  source,
  start,
  withBrowser,
  ysOf,
  type Plot,
} from './series.ts';

withBrowser();

/** Counts the pixels of the chart with approximately this colour. */
const countPixels = (page: Page, [red, green, blue]: readonly [number, number, number]): Promise<number> =>
  page.evaluate(
    ([r, g, b]) => {
      const canvas = document.querySelector('series-plot')?.shadowRoot?.querySelector('canvas');
      const pixels = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      let count = 0;
      for (let at = 0; at < pixels.length; at += 4) {
        const isClose = (index: number, expected: number): boolean =>
          Math.abs((pixels[at + index] ?? 0) - expected) < 24;
        if (isClose(0, r) && isClose(1, g) && isClose(2, b) && (pixels[at + 3] ?? 0) > 200) count++;
      }
      return count;
    },
    [red, green, blue] as const,
  );

describe('the page of series', () => {
  it('draws the samples that netcat sends as they arrive', async () => {
    const { hub, port } = await start();
    const page = await open(hub, '/plot', { colorScheme: 'light' });
    const send = netcat(port, 'temp');
    const now = Date.now();
    send(`${now - 2000} 20.5\n${now - 1000} 22\n`);
    await until(
      'both samples have arrived',
      () => report(page),
      (plot) => ysOf(plot, 'temp').length === 2,
    );
    send(`${now} 19.25\n`);
    const plot = await until(
      'the third sample has arrived',
      () => report(page),
      (all) => ysOf(all, 'temp').length === 3,
    );
    expect(ysOf(plot, 'temp')).toEqual([20.5, 22, 19.25]);
    // The line has the colour of the legend's swatch.
    const first = plot.series.findIndex(({ name }) => name === 'temp');
    expect(first).toBeGreaterThanOrEqual(0);
    await page.evaluate(() => {
      document.querySelector('series-plot')?.shadowRoot?.querySelector('select')?.focus();
    });
    const swatch = await page
      .locator('li[data-series="temp"] .swatch')
      .evaluate((element) => getComputedStyle(element).backgroundColor);
    const [red = 0, green = 0, blue = 0] = (swatch.match(/\d+/g) ?? []).map(Number);
    await page.locator('select[aria-label="Time range"]').selectOption('60000');
    await until(
      'a line is on the canvas',
      () => countPixels(page, [red, green, blue]),
      (count) => count > 20,
    );
    expect(await page.locator('li[data-series="temp"] .value').textContent()).toBe('19.25');
    expect(errorsOf(page)).toEqual([]);
  });

  it('receives larger batches when it draws slowly, and loses no samples', async () => {
    const { hub, port } = await start();
    const page = await open(hub, '/plot?series=fast');
    const socket = source(port, 'fast');
    socket.write(`${Date.now()} 0\n`);
    await until(
      'the series has arrived',
      () => report(page),
      (plot) => ysOf(plot, 'fast').length === 1,
    );
    let next = 1;
    const startedAt = Date.now();
    const sendTimer = setInterval(() => {
      let text = '';
      for (let count = 0; count < 20; count++) text += `${startedAt + next} ${next++}\n`;
      socket.write(text);
    }, 10);
    try {
      await until(
        'batches arrive',
        () => report(page),
        (plot) => plot.batches.length > 20,
      );
      const fastBatches = (await report(page)).batches.slice(-10);
      const before = (await report(page)).batches.length;
      // From now on, every line takes 300 ms to draw.
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
        'slow batches arrive',
        () => report(page),
        (plot) => plot.batches.length > before + 8,
        30_000,
      );
      const slowBatches = (await report(page)).batches.slice(-5);
      const mean = (all: readonly number[]): number =>
        all.reduce((sum, count) => sum + count, 0) / all.length;
      expect(mean(slowBatches)).toBeGreaterThan(2 * mean(fastBatches));
    } finally {
      clearInterval(sendTimer);
    }
    const all = await until(
      'the last sample has arrived',
      () => report(page),
      (plot) => ysOf(plot, 'fast').at(-1) === next - 1,
      30_000,
    );
    // Every sample once, in order.
    expect(ysOf(all, 'fast')).toEqual(Array.from({ length: next }, (_, index) => index));
    expect(all.series[0]?.missed).toBe(0);
  });

  it('requests nothing while paused, and all samples afterwards', async () => {
    const { hub, port } = await start();
    const page = await open(hub, '/plot?series=still');
    const socket = source(port, 'still');
    socket.write(`${Date.now()} 1\n`);
    await until(
      'the series has arrived',
      () => report(page),
      (plot) => ysOf(plot, 'still').length === 1,
    );
    await page.getByRole('button', { name: 'Pause' }).click();
    socket.write(`${Date.now()} 2\n`);
    // The batch requested before the pause may arrive; none is requested after it.
    await until(
      'the batch has arrived',
      () => report(page),
      (plot) => plot.batches.reduce((sum, count) => sum + count, 0) === 2,
    );
    const { batches } = await report(page);
    socket.write(`${Date.now()} 3\n${Date.now()} 4\n`);
    await page.waitForTimeout(500);
    expect((await report(page)).batches).toEqual(batches);
    await page.getByRole('button', { name: 'Resume' }).click();
    await until(
      'all samples have arrived',
      () => report(page),
      (plot) => ysOf(plot, 'still').length === 4,
    );
  });

  it('zooms, pans, and shows the value under the cursor', async () => {
    const { hub, port } = await start();
    const end = Date.now();
    const lines = Array.from({ length: 600 }, (_, index) => `${end - (599 - index) * 1000} ${index}\n`);
    source(port, 'ramp').write(lines.join(''));
    const page = await open(hub, '/plot');
    await until(
      'the ramp has arrived',
      () => report(page),
      (plot) => ysOf(plot, 'ramp').length === 600,
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
    // The shown range is fixed now.
    source(port, 'ramp').write(`${end + 5000} 600\n`);
    await until(
      'one more sample has arrived',
      () => report(page),
      (plot) => ysOf(plot, 'ramp').length === 601,
    );
    expect((await report(page)).range?.min).toBe(before - 75_000);
    await page.getByRole('button', { name: 'Live' }).click();
    await until(
      'the newest sample is shown',
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
    // A drag selects a range.
    await page.mouse.down();
    await page.mouse.move(chart.x + chart.width / 2 + 100, chart.y + 50, { steps: 4 });
    await page.mouse.up();
    await until('the selected part is shown', width, (wide) => wide > 1000 && wide < 150_000);
  });

  it('hides series, draws X-Y plots and log scales, and exports CSV and PNG', async () => {
    const { hub, port } = await start();
    const now = Date.now();
    source(port, 'a, "one"').write(`${now - 1000} 1\n${now} 1000\n`);
    source(port, 'circle').write(
      Array.from({ length: 50 }, (_, i) => `${Math.cos(i / 8)} ${Math.sin(i / 8)}\n`).join(''),
    );
    const page = await open(hub, '/plot');
    await until(
      'both series have arrived',
      () => report(page),
      (plot) => plot.series.length >= 2,
    );
    await until(
      'it is drawn',
      () => report(page),
      (plot) => ysOf(plot, 'a, "one"').length === 2,
    );
    expect(ysOf(await report(page), 'circle')).toEqual([]);
    const csv = await page.evaluate(() => document.querySelector<Plot>('series-plot')?.csv());
    expect(csv).toContain(`"a, ""one""",,${now},${new Date(now).toISOString()},1000`);
    await page.getByRole('button', { name: 'Log scale' }).click();
    await page.getByRole('button', { name: 'Separate scales' }).click();
    await until(
      'it is drawn with these scales',
      () => report(page),
      (plot) => ysOf(plot, 'a, "one"').length === 2,
    );
    await page.locator('li[data-series^="a,"] input').uncheck();
    await until(
      'it is hidden',
      () => report(page),
      (plot) => ysOf(plot, 'a, "one"').length === 0,
    );
    await page.getByRole('button', { name: 'X-Y' }).click();
    const plot = await until(
      'the circle is drawn',
      () => report(page),
      (all) => ysOf(all, 'circle').length === 50 && (all.range?.max ?? 2) < 2,
    );
    expect(plot.range?.min).toBeLessThan(-0.9);
    expect(plot.range?.max).toBeGreaterThan(0.9);
    const [picture] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save PNG' }).click(),
    ]);
    expect(picture.suggestedFilename()).toBe('series.png');
    expect(errorsOf(page)).toEqual([]);
  });

  it('follows renames and deletions', async () => {
    const { hub, port } = await start();
    source(port, 'old name').write(`${Date.now()} 1\n`);
    const page = await open(hub, '/plot');
    await until(
      'the series has arrived',
      () => report(page),
      (plot) => ysOf(plot, 'old name').length === 1,
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
      'the new name is shown',
      () => report(page),
      (plot) => ysOf(plot, 'new name').length === 1,
    );
    expect(await page.locator('li[data-series="new name"] .value').textContent()).toBe('1 °C');
    // Without permission there is no delete button.
    expect(await page.getByRole('button', { name: 'Delete new name' }).count()).toBe(0);
    expect((await fetch(`${hub.url}/api/v1/series/${id}`, { method: 'DELETE', headers })).status).toBe(200);
    await until(
      'the series is removed',
      () => report(page),
      (plot) => !plot.series.some(({ name }) => name === 'new name'),
    );
  });

  it('is readable in dark and light, and on a phone', async () => {
    const { hub, port } = await start();
    source(port, 'temp').write(`${Date.now()} 1\n`);
    // Wider than a row of the legend.
    const wide = 'A very long series name that does not fit into the legend at all';
    source(port, wide).write(`${Date.now() - 7_200_000} -123456.789\n`);
    for (const [colorScheme, width] of [
      ['light', 1100],
      ['dark', 360],
    ] as const) {
      const page = await open(hub, '/plot', { colorScheme, viewport: { width, height: 700 } });
      await until(
        'it is drawn',
        () => report(page),
        (plot) => ysOf(plot, 'temp').length === 1 && ysOf(plot, wide).length === 1,
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
      expect(errorsOf(page)).toEqual([]);
      await page.context().close();
    }
  });
});
