// Steps for tests of the two ladders: what the tile of a page shows, and decoders that do not respond.
import type { Page } from 'playwright-core';
import { until, type TileReport } from './browser.ts';

interface Report extends TileReport {
  readonly label: string;
}

/** What the tile of the play page shows. */
export const report = (page: Page): Promise<Report | undefined> =>
  page.evaluate(() => {
    const tile = document.querySelector<HTMLElement & { tileState(): TileReport | undefined }>('camera-tile');
    const state = tile?.tileState();
    const label = tile?.shadowRoot?.querySelector('.label')?.textContent ?? '';
    return state && { ...state, label };
  });

export const untilStep = (page: Page, step: string, timeout: number): Promise<Report | undefined> =>
  until(
    `the step is ${step}`,
    () => report(page),
    (tile) => tile?.step === step,
    timeout,
  );

/** Waits until native video of this width plays in time. */
export const untilPlaying = (page: Page, width: number, timeout = 20_000): Promise<Report | undefined> =>
  until(
    `video ${width} wide plays`,
    () => report(page),
    (tile) => tile?.codec === 'h264' && tile.width === width && tile.fps > 5 && tile.paintedAge < 1_000,
    timeout,
  );

/** Makes the video decoders of the page's painter take units without a response, or respond again. */
export async function silenceDecoders(page: Page, isSilent: boolean): Promise<void> {
  const worker = await until(
    'the painter has a worker',
    () => page.workers()[0],
    (found) => found !== undefined,
  );
  await worker?.evaluate((silent) => {
    const scope = globalThis as typeof globalThis & { respond?: VideoDecoder['decode'] };
    scope.respond ??= Reflect.get<VideoDecoder, 'decode'>(VideoDecoder.prototype, 'decode');
    const { respond } = scope;
    VideoDecoder.prototype.decode = silent ? () => undefined : respond;
  }, isSilent);
}
