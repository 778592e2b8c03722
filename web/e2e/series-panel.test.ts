// The Series panel in the settings.
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { axeFindings } from './browser.ts';
import { freshPage, invite, setUp } from './account.ts';
import { startHub } from './hub.ts';
import { browser, netcat, running, samplesPort, source, withBrowser } from './series.ts';

withBrowser();

describe('the Series panel', () => {
  it('lists series and sources, warns about a port in use, renames and deletes', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const usedAddress = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    try {
      const hub = await startHub([], 0, `[telemetry]\nws = "${usedAddress}"\n`);
      running.hub = hub;
      const port = await samplesPort(hub);
      const page = await freshPage(browser);
      running.page = page;
      await setUp(page, hub);
      await page.goto(`${hub.url}/settings#series`);
      await page.getByText(`${usedAddress}: Address already in use`).waitFor();
      await page.getByText('No series yet').waitFor();
      await page.getByText(`nc -N 127.0.0.1 ${port}`).waitFor();
      expect(await axeFindings(page)).toEqual([]);

      const send = netcat(port, 'boiler');
      send(`${Date.now()} 61.5\nwarm\n`);
      const list = page.getByRole('list', { name: 'Series' });
      await list.getByText('1 sample · newest 61.5 · just now · 1 source').waitFor();
      await list.getByText('1 invalid line was skipped: “warm”').waitFor();
      const sources = page.getByRole('list', { name: 'Sources' });
      await sources.getByText('connected').waitFor();
      await sources.getByText(/^boiler · 1 sample · since /).waitFor();
      await sources.getByText('127.0.0.1:').waitFor();
      expect(await axeFindings(page)).toEqual([]);

      // A source of which no line is valid has not written to a series, and its problem is shown.
      const broken = source(port, 'broken');
      broken.write('21.5 °C\n');
      broken.end();
      const brokenRow = sources.getByRole('listitem').filter({ hasText: '“21.5 °C”' });
      await brokenRow.getByText('1 invalid line was skipped').waitFor();
      await brokenRow.getByText('ended', { exact: true }).waitFor();
      expect(await brokenRow.innerText()).not.toContain('a deleted series');

      source(port, 'in seconds').write(`${Math.floor(Date.now() / 1000)} 1\n`);
      const inSeconds = list.getByRole('listitem').filter({ hasText: 'in seconds' });
      await inSeconds.getByText(/look like seconds since 1970.*send milliseconds/).waitFor();
      expect(await axeFindings(page)).toEqual([]);

      await page.getByRole('link', { name: 'Edit boiler' }).click();
      await page.getByLabel('Name').fill('heating');
      await page.getByLabel('Unit').fill('°C');
      await page.getByRole('button', { name: 'Save' }).click();
      await list.getByText('newest 61.5 °C').waitFor();
      send(`${Date.now()} 62\n`);
      await list.getByText('2 samples · newest 62 °C').waitFor();
      running.netcats.pop()?.kill();
      await sources.getByText(/^heating · 2 samples · since .* · ended .*: /).waitFor();

      await page.getByRole('button', { name: 'Delete heating' }).click();
      const dialog = page.getByRole('dialog', { name: 'Delete “heating”?' });
      await dialog.getByRole('button', { name: 'Delete series' }).click();
      await page.getByRole('button', { name: 'Delete in seconds' }).click();
      await page
        .getByRole('dialog', { name: 'Delete “in seconds”?' })
        .getByRole('button', { name: 'Delete series' })
        .click();
      await page.getByText('No series yet').waitFor();
      const viewer = await invite(page, browser, hub, 'vic', 'viewer');
      source(port, 'visible').write(`${Date.now()} 1\n`);
      await viewer.goto(`${hub.url}/settings#series`);
      await viewer.getByRole('link', { name: 'visible' }).waitFor();
      expect(await viewer.getByRole('link', { name: 'Edit visible' }).count()).toBe(0);
      expect(await viewer.getByRole('button', { name: 'Delete visible' }).count()).toBe(0);
      await viewer.context().close();
    } finally {
      other.close();
    }
  });
});
