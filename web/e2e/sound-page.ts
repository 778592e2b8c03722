// A page with cameras that measures when a flash is seen and when the beep of the same moment is heard.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Runs in the page: `soundReport()` returns the times of flashes and beeps in ms. The picture is read from the pixels of
 * the canvas or the video, the sound from a copy of what goes to the loudspeaker. The latencies of the screen and of the
 * loudspeaker are about the same, and not included.
 */
const MEASURE = `
  const THRESHOLD = 0.1, PAUSE = 0.5;
  const start = Date.now() - performance.now();
  const now = () => start + performance.now();
  const flashes = [], beeps = [];
  let context, analyser, lastBeep = -1, isWhite = true;
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...more) {
    if (to === this.context.destination) {
      context = this.context;
      analyser = context.createAnalyser();
      // A tenth of a second.
      analyser.fftSize = 2 ** Math.ceil(Math.log2(context.sampleRate / 10));
      connect.call(this, analyser);
      lastBeep = -1;
    }
    return connect.call(this, to, ...more);
  };
  const listen = () => {
    if (!analyser || context.state !== 'running') return;
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    const time = context.currentTime;
    const read = now();
    const at = samples.findIndex((value) => Math.abs(value) > THRESHOLD);
    if (at < 0) return;
    const heard = time - (samples.length - at) / context.sampleRate;
    // The start of a beep that was in progress is not known.
    if (at > 0 && heard - lastBeep > PAUSE)
      beeps.push(read - (time - heard) * 1000);
    lastBeep = time;
  };
  const look = async () => {
    const screen = document.querySelector('camera-wall, camera-tile');
    const pixels = await screen?.readTile?.(screen.getAttribute('watched'));
    if (!pixels) return;
    const bright = pixels.data[Math.floor(pixels.data.length / 8) * 4] > 128;
    if (bright && !isWhite) flashes.push(now());
    isWhite = bright;
  };
  setInterval(listen, 10);
  let said;
  setInterval(() => {
    const { state } = window.soundReport();
    if (state && state.sound !== said) console.log('sound is ' + (said = state.sound));
  }, 20);
  const watch = () => look().then(() => setTimeout(watch, 15), () => setTimeout(watch, 15));
  watch();
  window.soundReport = () => {
    const screen = document.querySelector('camera-wall, camera-tile');
    const state = screen?.tileState?.(screen.getAttribute('watched'));
    return { flashes, beeps, state, rate: context?.sampleRate, secure: isSecureContext };
  };`;

export interface SoundReport {
  readonly flashes: readonly number[];
  readonly beeps: readonly number[];
  readonly state?: { readonly sound: string; readonly codec: string; readonly paintedAge: number };
  readonly rate?: number;
  readonly secure: boolean;
}

export interface SoundPages {
  /** Returns the address of a page with this element. The host decides whether the page is secure. */
  url(host: string, element: string): string;
  close(): void;
}

/** Starts a server of pages that load the elements from a hub. */
export async function startSoundPages(hubPort: number): Promise<SoundPages> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://page');
    const hub = `http://${(request.headers.host ?? '').replace(/:\d+$/, '')}:${hubPort}`;
    const element = (url.searchParams.get('element') ?? '').replace('>', ` hub="${hub}">`);
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(
      `<!doctype html><html lang="en"><title>Sound</title><style>body { margin: 0 }</style><script>${MEASURE}</script>` +
        `<script type="module" src="${hub}/ocelli.js"></script>${element}`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: (host, element) => `http://${host}:${port}/?element=${encodeURIComponent(element)}`,
    close: () => void server.close(),
  };
}

/** The times in ms by which each beep is later than the flash of the same second. */
export function soundLag({ flashes, beeps }: SoundReport): number[] {
  return beeps.flatMap((beep) => {
    const lags = flashes.map((flash) => beep - flash).filter((lag) => Math.abs(lag) < 500);
    return lags.slice(0, 1);
  });
}
