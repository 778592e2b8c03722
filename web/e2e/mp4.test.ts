// A bare `<video>` in a real browser that plays the fragmented MP4 of a camera.
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { browser, freshPage, LOCAL_SOURCES, openHub, useBrowser } from './account.ts';
import { until } from './browser.ts';
import { startRtsp, type RtspServer } from './peers.ts';

useBrowser();

const FPS = 15;
/** `OCELLI_PLAY_SECONDS=600` plays for ten minutes. */
const SECONDS = Number(process.env['OCELLI_PLAY_SECONDS'] ?? 3);

let rtsp: RtspServer;
beforeAll(async () => {
  rtsp = await startRtsp(['--fps', String(FPS), '--size', '320x240', '--keys', '15']);
});
afterAll(() => {
  rtsp.stop();
});

interface State {
  readonly time: number;
  readonly duration: number;
  readonly width: number;
  readonly frames: number;
  readonly error: string;
}

/** Plays the stream of each camera, and counts its pictures and the widths that it has had. */
const play = (page: Page, cameras: readonly string[]): Promise<void> =>
  page.evaluate((cameras) => {
    for (const camera of cameras) {
      const src = `/live/live/${camera}/stream.mp4`;
      const video = Object.assign(document.createElement('video'), { src, muted: true, id: camera });
      document.body.append(video);
      void video.play();
    }
  }, cameras);

const stateOf = (page: Page, camera: string): Promise<State> =>
  page.evaluate((id) => {
    const video = document.querySelector<HTMLVideoElement>(`#${id}`);
    if (!video) throw new Error(`no video of ${id}`);
    return {
      time: video.currentTime,
      duration: video.duration,
      width: video.videoWidth,
      frames: video.getVideoPlaybackQuality().totalVideoFrames,
      error: video.error?.message ?? '',
    };
  }, camera);

test('a video element plays a camera, with B-frames and through changes of its size', async () => {
  const cameras = ['h264', 'bframes', 'resize'];
  const hub = await openHub(
    cameras.map((mount) => `${mount}=${rtsp.url(`/${mount}`)}`),
    0,
    LOCAL_SOURCES,
  );
  const page = await freshPage(browser);
  await page.goto(`${hub.url}/health`);
  await play(page, cameras);
  for (const camera of cameras) {
    const state = (): Promise<State> => stateOf(page, camera);
    await until(`${camera} plays`, state, ({ time, error }) => time > 1 || error !== '');
  }
  // The sizes alternate every 3 s.
  for (const width of [160, 320])
    await until(
      `the picture is ${width} wide`,
      () => stateOf(page, 'resize'),
      (state) => state.width === width || state.error !== '',
    );
  const first = await Promise.all(cameras.map((camera) => stateOf(page, camera)));
  await page.waitForTimeout(SECONDS * 1000);
  for (const [index, camera] of cameras.entries()) {
    const [before, after] = [first[index], await stateOf(page, camera)];
    expect(after.error, camera).toBe('');
    expect(after.duration, camera).toBe(Infinity);
    expect(after.time - (before?.time ?? 0), camera).toBeGreaterThan(0.8 * SECONDS);
    expect(after.frames - (before?.frames ?? 0), camera).toBeGreaterThan(0.7 * SECONDS * FPS);
  }
}, (SECONDS + 60) * 1000);
