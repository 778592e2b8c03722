// What the plot says about its series: stopped ones, wrong clocks, wrong units, and any number.
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { until } from './browser.ts';
import { errorsOf, netcat, open, report, source, start, withBrowser, ysOf, type Plot } from './series.ts';

withBrowser();

const textOf = (page: Page, series: string, part: string): Promise<string> =>
  page.locator(`li[data-series="${series}"] .${part}`).innerText();

/** Returns the labels that the next redraws of the chart draw. */
async function drawnLabels(page: Page): Promise<string[]> {
  await page.evaluate(() => {
    const labels: string[] = [];
    (window as unknown as { labels: string[] }).labels = labels;
    // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called on a context below
    const fillText = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (this: CanvasRenderingContext2D, text, x, y) {
      labels.push(text);
      fillText.call(this, text, x, y);
    };
  });
  await page.getByRole('button', { name: '−' }).click();
  return until(
    'labels are drawn',
    () => page.evaluate(() => (window as unknown as { labels: string[] }).labels),
    (labels) => labels.length > 0,
  );
}

describe('a plot', () => {
  it('follows the right clocks, and marks the series that has stopped', async () => {
    const { hub, port } = await start();
    const now = Date.now();
    const stopped = netcat(port, 'stopped');
    const right = netcat(port, 'right');
    const ahead = netcat(port, 'ahead');
    const ramp = (offset: number): string =>
      Array.from({ length: 60 }, (_, index) => `${now + offset - (59 - index) * 1000} ${index}\n`).join('');
    stopped(ramp(0));
    right(ramp(0));
    ahead(ramp(3_600_000));
    const page = await open(hub, '/plot?series=stopped&series=right&series=ahead');
    await until(
      'all are there',
      () => report(page),
      (seen) => seen.series.length === 3 && ysOf(seen, 'right').length === 60,
    );
    const send = setInterval(() => {
      right(`${Date.now()} 1\n`);
      ahead(`${Date.now() + 3_600_000} 2\n`);
    }, 500);
    try {
      await until(
        'one is marked',
        () => textOf(page, 'stopped', 'stopped'),
        (text) => /^stopped since \d\d:\d\d:\d\d$/.test(text),
      );
    } finally {
      clearInterval(send);
    }
    for (const name of ['right', 'ahead']) expect(await textOf(page, name, 'stopped')).toBe('');
    expect(await textOf(page, 'ahead', 'clock')).toMatch(/^clock \d+ min ahead$/);
    const { range } = await report(page);
    expect(Math.abs((range?.max ?? 0) - Date.now())).toBeLessThan(10_000);
    // The cursor is where only two series have samples.
    const chart = await page.locator('.u-over').boundingBox();
    if (!chart) throw new Error('no chart');
    const values = (): Promise<string[]> =>
      Promise.all(['stopped', 'right', 'ahead'].map((name) => textOf(page, name, 'value')));
    await page.mouse.move(chart.x + chart.width * 0.95, chart.y + 20);
    await until('two have a value', values, ([a, b, c]) => a !== '–' && b !== '–' && c === '–');
    await page.mouse.move(chart.x + chart.width / 2, chart.y + 20);
    await until('none has a value before it began', values, (all) => all.every((text) => text === '–'));
    expect(errorsOf(page)).toEqual([]);
  });

  it('explains x in seconds, on the time axis and in X-Y', async () => {
    const { hub, port } = await start();
    const now = Date.now();
    source(port, 'right').write(`${now} 1\n`);
    source(port, 'in seconds').write(`${Math.floor(now / 1000)} 1\n`);
    const page = await open(hub, '/plot?series=right&series=in%20seconds');
    const note = page.getByText(/“in seconds” look like seconds since 1970.*send milliseconds/);
    await note.waitFor();
    await page.getByRole('button', { name: 'X-Y' }).click();
    await page.locator('li[data-series="in seconds"]').waitFor();
    await note.waitFor();
  });

  it.each([1e300, 1e-300])('has labels for numbers around %d', async (size) => {
    const { hub, port } = await start();
    const now = Date.now();
    source(port, 'far').write(`${now - 2000} ${size}\n${now - 1000} ${3 * size}\n${now} ${2 * size}\n`);
    const page = await open(hub, '/plot?series=far');
    await until(
      'it is drawn',
      () => report(page),
      (seen) => ysOf(seen, 'far').length === 3,
    );
    const numbers = (labels: readonly string[]): string[] => labels.filter((text) => /e[+-]\d+$/.test(text));
    expect(numbers(await drawnLabels(page)).length).toBeGreaterThanOrEqual(3);
    expect(Number(await textOf(page, 'far', 'value'))).toBe(2 * size);
    await page.getByRole('button', { name: 'Log' }).click();
    expect(numbers(await drawnLabels(page)).length).toBeGreaterThanOrEqual(2);
    expect(errorsOf(page)).toEqual([]);
  });

  it('lists 50 series in natural order, each with its own appearance', async () => {
    const { hub, port } = await start();
    for (let number = 50; number > 0; number--)
      source(port, `sensor ${number}`).write(`${Date.now()} ${number}\n`);
    const names = Array.from({ length: 50 }, (_, index) => `sensor ${index + 1}`);
    const page = await open(
      hub,
      `/plot?${names.map((name) => `series=${encodeURIComponent(name)}`).join('&')}`,
    );
    const rows = page.locator('.legend li');
    await until(
      'all are there',
      () => rows.count(),
      (count) => count === 50,
    );
    expect(await rows.locator('.name').allInnerTexts()).toEqual(names);
    for (const box of await rows.locator('input').all()) await box.check();
    const looks = await rows
      .locator('.swatch')
      .evaluateAll((swatches) =>
        swatches.map(
          (swatch) => `${getComputedStyle(swatch).backgroundColor} ${swatch.getAttribute('class')}`,
        ),
      );
    expect(new Set(looks).size).toBe(50);
  });

  it('takes 150,000 samples that arrive newest first', async () => {
    const { hub, port } = await start();
    const socket = source(port, 'backwards');
    const now = Date.now();
    socket.write(`${now} 0\n`);
    const page = await open(hub, '/plot?series=backwards');
    await until(
      'the series is there',
      () => report(page),
      (seen) => seen.series.length === 1,
    );
    await page.evaluate(() => {
      let before = performance.now();
      setInterval(() => {
        const time = performance.now();
        const shared = window as unknown as { longest?: number };
        shared.longest = Math.max(shared.longest ?? 0, time - before);
        before = time;
      }, 50);
    });
    for (let next = 1; next < 150_000; next += 1000) {
      let text = '';
      for (let at = next; at < Math.min(next + 1000, 150_000); at++) text += `${now - at * 100} ${at}\n`;
      socket.write(text);
    }
    // The hub thins those that the page requests too late.
    const received = await until(
      'all are there',
      () =>
        page.evaluate(() => {
          const { series } = document.querySelector<Plot>('series-plot')?.report() ?? { series: [] };
          return (series[0]?.count ?? 0) + (series[0]?.missed ?? 0);
        }),
      (count) => count >= 150_000,
      40_000,
    );
    expect(received).toBe(150_000);
    const longest = await page.evaluate(() => (window as unknown as { longest?: number }).longest ?? 0);
    expect(longest).toBeLessThan(5000);
    expect(errorsOf(page)).toEqual([]);
  });
});
