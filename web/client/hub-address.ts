// Derives the addresses of sockets and pictures from the hub's address, which may have a path if the hub is behind a
// proxy.
import type { StreamChoice } from './events.ts';

const DEFAULT_APP = 'live';

export class HubAddress {
  readonly #base: URL;
  readonly #token: string;

  constructor(hub: string, token = '') {
    this.#base = new URL(hub.endsWith('/') ? hub : `${hub}/`);
    this.#token = token;
  }

  get socket(): string {
    return this.#socket('ws/cameras').href;
  }

  /** The socket for the named series, or for all if there are no names. */
  series(names: readonly string[]): string {
    const url = this.#socket('ws/series');
    for (const name of names) url.searchParams.append('series', name);
    return url.href;
  }

  /** A series in the HTTP API. */
  seriesById(id: number): string {
    return this.#url(`api/v1/series/${id}`).href;
  }

  /** A camera's MPEG-1 stream, with text messages that give its age. */
  mpeg1(camera: string, stream: StreamChoice): string {
    const { app, room } = roomOf(camera);
    const url = this.#socket('live/jsmpeg');
    for (const [name, value] of Object.entries({ app, room, stream, info: '1' })) {
      url.searchParams.set(name, value);
    }
    return url.href;
  }

  get cameras(): string {
    return this.#url('api/v1/cameras').href;
  }

  /** The address of the hub, without the token. */
  get hub(): string {
    return this.#base.href;
  }

  get host(): string {
    return this.#base.hostname;
  }

  /** Whether `origin` differs from the hub's. The hub may refuse pages of other origins. */
  isForeign(origin: string): boolean {
    return origin !== this.#base.origin;
  }

  mjpeg(camera: string, stream: StreamChoice): string {
    return this.#picture(camera, 'mjpeg', stream).href;
  }

  snapshot(camera: string, stream: StreamChoice): string {
    const url = this.#picture(camera, 'frame.jpg', stream);
    // A unique address, because the browser would otherwise show the picture it already has.
    url.searchParams.set('at', String(Date.now()));
    return url.href;
  }

  #picture(camera: string, file: string, stream: StreamChoice): URL {
    const { app, room } = roomOf(camera);
    const url = this.#url(`live/${encodeURIComponent(app)}/${encodeURIComponent(room)}/${file}`);
    url.searchParams.set('stream', stream);
    return url;
  }

  #socket(path: string): URL {
    const url = this.#url(path);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return url;
  }

  #url(path: string): URL {
    const url = new URL(path, this.#base);
    if (this.#token !== '') url.searchParams.set('token', this.#token);
    return url;
  }
}

/** A camera's app and room from its id on the wall socket. */
export function roomOf(camera: string): { app: string; room: string } {
  const slash = camera.indexOf('/');
  return slash < 0
    ? { app: DEFAULT_APP, room: camera }
    : { app: camera.slice(0, slash), room: camera.slice(slash + 1) };
}

/** A camera's id on the wall socket from its app and room. */
export function idOf(app: string, room: string): string {
  return app === DEFAULT_APP ? room : `${app}/${room}`;
}
