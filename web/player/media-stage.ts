// The media elements of a page: one player for each camera that the painter plays here, placed in the tiles that show
// the camera.
import { browserPlatform } from '../client/browser-platform.ts';
import type { MediaBrowser } from './media-browser.ts';
import type { FromMedia, ToMedia } from './media-messages.ts';
import { MediaPlayer } from './media-player.ts';
import type { Pixels } from './messages.ts';

interface Placed {
  readonly camera: string;
  readonly player: MediaPlayer;
  /** In further tiles with the same camera. */
  mirrors: HTMLCanvasElement[];
  isStopped: boolean;
}

/** An element stays this long after its last picture was handed to the painter, which shows it meanwhile; ms. */
const HANDOVER = 250;

export class MediaStage {
  readonly #browser: MediaBrowser;
  readonly #send: (message: FromMedia, transfer?: Transferable[]) => void;
  /** The elements in which a camera is shown. */
  readonly #parentsOf: (camera: string) => HTMLElement[];
  #players = new Map<number, Placed>();
  #stopListening: (() => void) | undefined;

  constructor(
    browser: MediaBrowser,
    send: (message: FromMedia, transfer?: Transferable[]) => void,
    parentsOf: (camera: string) => HTMLElement[],
  ) {
    this.#browser = browser;
    this.#send = send;
    this.#parentsOf = parentsOf;
  }

  receive(message: ToMedia): void {
    switch (message.kind) {
      case 'ask': {
        const { type } = message;
        this.#send({ kind: 'answer', type, isSupported: this.#browser.isSupported(type) });
        break;
      }
      case 'start':
        this.#start(message.player, message.camera);
        break;
      case 'unit':
        this.#players.get(message.player)?.player.append(message.unit);
        break;
      case 'stop':
        void this.#stop(message.player);
        break;
    }
  }

  /** Places the players after the tiles have changed. */
  arrange(): void {
    for (const placed of this.#players.values()) if (!placed.isStopped) this.#place(placed);
  }

  /** The shown pixels of a camera; `undefined` if no element shows it. */
  read(camera: string): Pixels | undefined {
    for (const { camera: id, player, isStopped } of this.#players.values()) {
      const { video } = player;
      if (id !== camera || isStopped || !video.classList.contains('playing')) continue;
      const canvas = document.createElement('canvas');
      const context = draw(video, canvas);
      const { width, height } = canvas;
      const data = context?.getImageData(0, 0, width, height).data;
      return data && { width, height, data: data };
    }
    return undefined;
  }

  close(): void {
    this.#stopListening?.();
    for (const number of [...this.#players.keys()]) this.#remove(number);
  }

  #start(number: number, camera: string): void {
    const player = new MediaPlayer(this.#browser, browserPlatform, {
      taken: () => this.#send({ kind: 'taken', player: number }),
      shown: (captureTime, width, height) => {
        // Until now the canvas below was visible.
        player.video.classList.add('playing');
        for (const mirror of placed.mirrors) {
          draw(player.video, mirror);
          mirror.hidden = false;
        }
        this.#send({ kind: 'shown', player: number, captureTime, width, height });
      },
      skipping: () => this.#send({ kind: 'skipping', player: number }),
      failed: (failure, worked) => {
        if (failure === 'refused') this.#listen();
        this.#send({ kind: 'failed', player: number, failure, worked });
      },
    });
    const placed: Placed = { camera, player, mirrors: [], isStopped: false };
    this.#players.set(number, placed);
    this.#place(placed);
  }

  async #stop(number: number): Promise<void> {
    const placed = this.#players.get(number);
    if (!placed) return;
    placed.isStopped = true;
    const image = await placed.player.stop();
    this.#send({ kind: 'still', player: number, image }, image && [image]);
    browserPlatform.after(HANDOVER, () => this.#remove(number));
  }

  #remove(number: number): void {
    const placed = this.#players.get(number);
    placed?.player.remove();
    for (const mirror of placed?.mirrors ?? []) mirror.remove();
    this.#players.delete(number);
  }

  #place(placed: Placed): void {
    const { player, mirrors } = placed;
    const [first, ...others] = this.#parentsOf(placed.camera);
    if (first && player.video.parentElement !== first) first.append(player.video);
    for (const mirror of mirrors.splice(others.length)) mirror.remove();
    others.forEach((parent, index) => {
      let mirror = mirrors[index];
      if (!mirror) {
        mirror = document.createElement('canvas');
        mirror.hidden = true;
        mirrors[index] = mirror;
      }
      if (mirror.parentElement !== parent) parent.append(mirror);
    });
  }

  /** Waits until the person uses the page: browsers then allow video that they refused before. */
  #listen(): void {
    if (this.#stopListening) return;
    const used = (): void => {
      this.#stopListening?.();
      this.#send({ kind: 'allowed' });
    };
    const events = ['pointerup', 'keydown'] as const;
    for (const event of events) window.addEventListener(event, used, true);
    this.#stopListening = () => {
      for (const event of events) window.removeEventListener(event, used, true);
      this.#stopListening = undefined;
    };
  }
}

function draw(video: HTMLVideoElement, canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  if (canvas.width !== video.videoWidth) canvas.width = video.videoWidth;
  if (canvas.height !== video.videoHeight) canvas.height = video.videoHeight;
  const context = canvas.getContext('2d');
  context?.drawImage(video, 0, 0);
  return context;
}
