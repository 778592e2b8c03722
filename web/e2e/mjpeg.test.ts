// A bare `<img>` in a real browser, which paints a part of an MJPEG stream only after the headers of the next one.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { test } from 'vitest';
import { until } from './browser.ts';
import { browser, freshPage, LOCAL_SOURCES, openHub, useBrowser } from './account.ts';

useBrowser();

/** Less than the time after which the hub gives up a silent camera and gets its picture again. */
const PROMPT = 5_000;

/** A camera that sends a picture only when it is told to, and the last one to each newcomer. */
async function startCamera(): Promise<{ url: string; show(jpeg: Buffer): void; stop(): Promise<void> }> {
  const viewers = new Set<ServerResponse>();
  let last: Buffer | undefined;
  const send = (viewer: ServerResponse): void => {
    if (!last) return;
    viewer.write(`--part\r\nContent-Type: image/jpeg\r\nContent-Length: ${last.length}\r\n\r\n`);
    viewer.write(Buffer.concat([last, Buffer.from('\r\n')]));
  };
  const server = createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'multipart/x-mixed-replace; boundary=part' });
    viewers.add(response);
    response.on('close', () => viewers.delete(response));
    send(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    show(jpeg) {
      last = jpeg;
      viewers.forEach(send);
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Draws a JPEG of one colour. */
async function jpegOf(page: Page, colour: string): Promise<Buffer> {
  const url = await page.evaluate((colour) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
    const context = canvas.getContext('2d');
    if (!context) throw new Error('no canvas');
    context.fillStyle = colour;
    context.fillRect(0, 0, 64, 48);
    return canvas.toDataURL('image/jpeg');
  }, colour);
  return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}

/** Returns which of red, green and blue the image shows; `nothing` before the first picture. */
const colourOf = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const image = document.querySelector('img');
    if (!image || image.naturalWidth === 0) return 'nothing';
    const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
    const context = canvas.getContext('2d');
    context?.drawImage(image, 0, 0);
    const [red = 0, green = 0, blue = 0] = context?.getImageData(32, 24, 1, 1).data ?? [];
    return red > 150 ? 'red' : green > 100 ? 'green' : blue > 150 ? 'blue' : 'black';
  });

test('an image shows the newest picture of a camera that has paused', async () => {
  const camera = await startCamera();
  try {
    const hub = await openHub([`still=${camera.url}`], 0, LOCAL_SOURCES);
    const page = await freshPage(browser);
    await page.goto(`${hub.url}/health`);
    const pictures = new Map<string, Buffer>();
    for (const colour of ['red', 'green', 'blue']) pictures.set(colour, await jpegOf(page, colour));
    const show = (colour: string): void => camera.show(pictures.get(colour) ?? Buffer.alloc(0));
    show('red');
    await page.evaluate(() => {
      document.body.append(Object.assign(new Image(), { src: '/live/live/still/mjpeg' }));
    });
    for (const colour of ['red', 'green', 'blue']) {
      show(colour);
      await until(
        `the image is ${colour}`,
        () => colourOf(page),
        (shown) => shown === colour,
        PROMPT,
      );
    }
  } finally {
    await camera.stop();
  }
});
