// Steps for tests of native video on a wall: waiting for a codec, and measuring rate, age and movement.
import type { Page } from 'playwright-core';
import { until, wallReport, type TileReport } from './browser.ts';

/** A name of this machine that is not `localhost`, so that its pages are secure only over https. */
export const HOST = 'cams.example';
/** Makes Chromium resolve that name. */
export const RESOLVE_HOST = `--host-resolver-rules=MAP ${HOST} 127.0.0.1`;

export const tileOf = async (page: Page, camera: string): Promise<TileReport | undefined> =>
  (await wallReport(page)).tiles[camera] ?? undefined;

export const untilShown = (page: Page, camera: string, codec: string): Promise<TileReport | undefined> =>
  until(
    `${camera} is shown as ${codec}`,
    () => tileOf(page, camera),
    (tile) => tile?.codec === codec,
  );

/** Waits until the cameras play at their own rate. The cached group is played faster than real time at first. */
export const untilSteady = (page: Page, cameras: readonly string[], fps: number): Promise<unknown> =>
  until(
    'the rate is that of the cameras',
    () => wallReport(page),
    ({ tiles }) =>
      cameras.every((camera) => {
        const tile = tiles[camera];
        return (
          tile?.codec === 'h264' && tile.painted > fps && tile.fps < fps * 1.2 && tile.paintedAge < 1_000
        );
      }),
    30_000,
  );

export interface Playback {
  readonly fps: number;
  /** The ages in ms when a picture was painted, and at any other time. */
  readonly paintedAges: readonly number[];
  readonly ages: readonly number[];
}

/** Measures the cameras of a wall until each has painted that many pictures. */
export async function measure(
  page: Page,
  cameras: readonly string[],
  pictures: number,
  timeout = 30_000,
): Promise<Map<string, Playback>> {
  const { tiles: before } = await wallReport(page);
  const start = performance.now();
  const last = new Map<string, number>();
  const ages = new Map(
    cameras.map((camera) => [camera, { paintedAges: [] as number[], ages: [] as number[] }]),
  );
  const { tiles: after } = await until(
    `each camera has painted ${pictures} pictures`,
    async () => {
      const report = await wallReport(page);
      for (const [camera, measured] of ages) {
        const tile = report.tiles[camera];
        measured.ages.push(tile?.age ?? Infinity);
        // Each reported picture counts once.
        if (!tile || tile.painted === last.get(camera)) continue;
        last.set(camera, tile.painted);
        measured.paintedAges.push(tile.paintedAge);
      }
      return report;
    },
    ({ tiles }) =>
      cameras.every((camera) => (tiles[camera]?.painted ?? 0) - (before[camera]?.painted ?? 0) >= pictures),
    timeout,
  );
  const seconds = (performance.now() - start) / 1000;
  return new Map(
    [...ages].map(([camera, measured]) => {
      const painted = (after[camera]?.painted ?? 0) - (before[camera]?.painted ?? 0);
      return [camera, { fps: painted / seconds, ...measured }];
    }),
  );
}

export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? Infinity;
}

/** How much the median of the last third of the values exceeds that of the first third. */
export function growth(values: readonly number[]): number {
  const third = Math.max(1, Math.floor(values.length / 3));
  return quantile(values.slice(-third), 0.5) - quantile(values.slice(0, third), 0.5);
}
