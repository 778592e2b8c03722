// Cameras beside series in a real browser, on the same clock.
import { describe, expect, it } from 'vitest';
import type { CameraTile } from '../player/ocelli.ts';
import { until } from './browser.ts';
import { errorsOf, netcat, open, report, start, withBrowser, ysOf } from './series.ts';

withBrowser();

describe('the page of cameras and series', () => {
  it('shows a camera beside a plot, and the time between the cursor and the picture', async () => {
    const { hub, port } = await start();
    const send = netcat(port, 'temp');
    const now = Date.now();
    // Ten minutes, one sample per second. The value is the index.
    const lines = Array.from({ length: 600 }, (_, index) => `${now - (599 - index) * 1000} ${index}\n`);
    send(lines.join(''));
    const page = await open(hub, '/live#camera=cam1&plot=temp');
    await page.locator('series-plot').waitFor();
    await until(
      'the samples have arrived',
      () => report(page),
      (plot) => ysOf(plot, 'temp').length === 600,
    );
    const caption = page.locator('.picture-time[data-camera="cam1"]');
    await until(
      'the picture has a time',
      () => caption.textContent(),
      (text) => /\d:\d\d/.test(text ?? ''),
    );
    const chart = await page.locator('.u-over').boundingBox();
    if (!chart) throw new Error('no chart');
    await page.mouse.move(chart.x + chart.width / 4, chart.y + 20);
    const { range } = await report(page);
    if (!range) throw new Error('nothing is drawn');
    const cursorTime = range.min + (range.max - range.min) / 4;
    // The legend shows the value at that time, and the caption shows how long before the picture it is.
    const value = async (): Promise<number> =>
      Number(await page.locator('li[data-series="temp"] .value').textContent());
    await until(
      'the value is shown',
      value,
      (shown) => Math.abs(shown - (599 - (now - cursorTime) / 1000)) <= 2,
    );
    const shown = await until(
      'the time difference is shown',
      async () => {
        const text = await caption.textContent();
        const captured = await page.evaluate(
          () => document.querySelector<CameraTile>('camera-tile')?.tileState()?.captureTime ?? 0,
        );
        const [, minutes] = /the cursor is (\d+) min before this picture/.exec(text ?? '') ?? [];
        return { minutes: Number(minutes), captured };
      },
      ({ minutes }) => minutes > 0,
    );
    expect(Math.abs(shown.minutes - (shown.captured / 1000 - cursorTime) / 60_000)).toBeLessThan(0.6);
    await page.mouse.move(chart.x + chart.width / 4, chart.y + chart.height + 60);
    await until(
      'the time difference is hidden without a cursor',
      () => caption.textContent(),
      (text) => !(text ?? '').includes('cursor'),
    );
    // A second plot with all series is stored in the address and restored on the next visit.
    await page.getByRole('button', { name: 'Add a plot' }).click();
    await until(
      'two plots are shown',
      () => page.locator('series-plot').count(),
      (count) => count === 2,
    );
    expect(page.url()).toContain('plot=temp&plot=');
    await page.goto(`${hub.url}/live`);
    await until(
      'both plots are restored',
      () => page.locator('series-plot').count(),
      (count) => count === 2,
    );
    expect(await page.locator('camera-tile').count()).toBe(1);
    expect(errorsOf(page)).toEqual([]);
  });

  it('shows the offset of a wrong clock until it is correct', async () => {
    const { hub, port } = await start();
    const slow = netcat(port, 'slow');
    const correct = netcat(port, 'right');
    slow(`${Date.now() - 12_300} 1\n`);
    correct(`${Date.now()} 1\n`);
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
      'the clock is correct',
      () => clock('slow'),
      (text) => text === '',
    );
    expect(errorsOf(page)).toEqual([]);
  });
});
