// Native video in Firefox and in WebKitGTK: each camera is played as it sends it where the browser can decode that in a
// worker, and as JPEG, with the reason, where it cannot. The picture moves in both cases.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { LOCAL_SOURCES } from './account.ts';
import { until, type TileReport } from './browser.ts';
import { startHub, type Hub } from './hub.ts';
import { quantile } from './native.ts';
import { startRtsp, type RtspServer } from './peers.ts';
import { startFirefox, startWebKit, type WebDriverBrowser } from './webdriver.ts';

const FPS = 15;
/** The hub makes JPEG of other video at this rate. */
const JPEG_FPS = 5;
const NAMES = { h264: 'H.264', h265: 'H.265' } as const;
/** A codec and a type of it for each camera. */
const CAMERAS = {
  h264: ['h264', 'avc1.42E01F'],
  // Pictures are not shown in the order in which they are decoded.
  bframes: ['h264', 'avc1.4D401F'],
  h265: ['h265', 'hev1.1.6.L93.B0'],
} as const;
type Camera = keyof typeof CAMERAS;

let rtsp: RtspServer;
let hub: Hub;
let browser: WebDriverBrowser | undefined;

beforeAll(async () => {
  rtsp = await startRtsp(['--fps', String(FPS), '--size', '640x360', '--keys', '30']);
  const sources = Object.keys(CAMERAS).map((mount) => `${mount}=${rtsp.url(`/${mount}`)}`);
  hub = await startHub(sources, 0, LOCAL_SOURCES);
});

afterAll(async () => {
  await hub.stop();
  rtsp.stop();
});

afterEach(async () => {
  await browser?.close();
  browser = undefined;
});

/** What the browser can decode in a worker, asked independently of the player. */
const ASK = `
  const source = \`onmessage = async ({ data }) => {
    const supports = async (codec) => {
      try {
        return (await VideoDecoder.isConfigSupported({ codec, optimizeForLatency: true })).supported;
      } catch {
        return false;
      }
    };
    postMessage(await Promise.all(data.map(supports)));
  }\`;
  const worker = new Worker(URL.createObjectURL(new Blob([source])));
  const answer = new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
  worker.postMessage(args);
  return answer;`;

/** The state of each tile. */
const STATES = `
  const wall = document.querySelector('camera-wall');
  return Object.fromEntries((wall?.cameras ?? []).map(({ id }) => [id, wall.tileState(id)]));`;

/** A checksum of the pixels of a camera. */
const CHECKSUM = `
  const { data } = await document.querySelector('camera-wall').readTile(args[0]);
  let sum = 0;
  for (let at = 0; at < data.length; at += 997) sum = (sum * 31 + data[at]) % 1000003;
  return sum;`;

type States = Partial<Record<Camera, TileReport>>;
const states = async (): Promise<States> => (await browser?.run(STATES)) as States;

test.each([
  ['Firefox', startFirefox],
  ['WebKitGTK', startWebKit],
])('%s plays what it can decode, and everything moves', { timeout: 120_000 }, async (name, start) => {
  browser = await start();
  await browser.open(`${hub.url}/`);
  const types = Object.values(CAMERAS).map(([, type]) => type);
  const decodes = (await browser.run(ASK, ...types)) as boolean[];
  const expected = Object.entries(CAMERAS).map(([id, [codec]], index) => {
    const native = decodes[index] ?? false;
    return { id: id as Camera, codec, native, shown: native ? codec : 'jpeg', fps: native ? FPS : JPEG_FPS };
  });
  await until(
    `each camera is shown as ${expected.map(({ id, shown }) => `${id}: ${shown}`).join(', ')}`,
    states,
    (tiles) =>
      expected.every(({ id, shown, fps }) => {
        const tile = tiles[id];
        return tile?.codec === shown && tile.painted > fps && tile.fps < fps * 1.3 && tile.paintedAge < 1_000;
      }),
    40_000,
  );
  const before = await states();
  const ages: number[] = [];
  const sums = new Map(expected.map(({ id }) => [id, new Set<unknown>()]));
  let rounds = 0;
  const painted = (tiles: States, id: Camera): number =>
    (tiles[id]?.painted ?? 0) - (before[id]?.painted ?? 0);
  const after = await until(
    'four seconds of pictures are painted, and the pixels change',
    async () => {
      const tiles = await states();
      ages.push(...expected.map(({ id }) => tiles[id]?.paintedAge ?? Infinity));
      // Reading pixels delays the pictures, so one camera is read at a time, and not in each round.
      const read = rounds % 3 === 0 ? expected[(rounds / 3) % expected.length] : undefined;
      if (read) sums.get(read.id)?.add(await browser?.run(CHECKSUM, read.id));
      rounds += 1;
      return tiles;
    },
    (tiles) =>
      expected.every(({ id, fps }) => painted(tiles, id) >= fps * 4 && (sums.get(id)?.size ?? 0) > 2),
    40_000,
  );
  for (const { id, codec, native } of expected) {
    const reason = after[id]?.codecReason ?? '';
    if (native) expect(reason).toBe('');
    else expect(reason).toMatch(new RegExp(`^because this browser cannot decode ${NAMES[codec]}`));
  }
  expect(quantile(ages, 0.5), 'the age of pictures when painted').toBeLessThan(1_000);
  const plays = expected.map(({ id, shown }) => `${id} as ${shown}`).join(', ');
  process.stdout.write(
    `${name} ${browser.version}: ${plays}, age p50 ${quantile(ages, 0.5).toFixed(0)} ms\n`,
  );
});
