// The base class of <camera-wall> and <camera-tile>: joins and leaves the hub's engine, and reports a picture's
// state to pages and tests.
import { coalesced } from '../client/coalesced.ts';
import { HUB_ATTRIBUTES, hubOf } from '../client/hub-attributes.ts';
import type { Link } from '../client/connection.ts';
import { pictureReason } from './codec-text.ts';
import { joinEngine, leaveEngine, type Engine, type Screen } from './engine.ts';
import type { Picture, Pixels } from './messages.ts';
import type { SoundActions } from './sound-button.ts';
import type { SoundState } from './sound-control.ts';
import type { TileView } from './tile-view.ts';

export interface TileState {
  /** The number of pictures painted so far. */
  readonly painted: number;
  /** The age of the shown picture now; ms. */
  readonly age: number;
  /** The age of that picture when it was painted; ms. */
  readonly paintedAge: number;
  readonly fps: number;
  /** µs since the Unix epoch by the hub's clock. */
  readonly captureTime: number;
  readonly width: number;
  readonly height: number;
  readonly frozen: boolean;
  /** `h264`, `h265`, `jpeg` or `mpeg1`. */
  readonly codec: string;
  /** Why the picture is not the camera's own H.264 or H.265; empty if it is, and for MPEG-1. */
  readonly codecReason: string;
  /**
   * `full`, or what is shown instead: `sub`, `keys` (only key frames) or `mpeg1` where the network or the device is too
   * slow; `software`, `sub` or `jpeg` where video decoders failed.
   */
  readonly step: string;
  /** `muted`, `on`, `waiting` for the person to use the page, `unavailable` in this browser; `none` without sound. */
  readonly sound: SoundState | 'none';
}

export abstract class ScreenElement extends HTMLElement implements Screen {
  protected engine: Engine | undefined;

  connectedCallback(): void {
    this.engine = joinEngine(hubOf(this), this);
    this.attached();
  }

  attributeChangedCallback(name: string): void {
    if (HUB_ATTRIBUTES.includes(name)) this.#scheduleRejoin();
    this.attributeChanged(name);
  }

  /** Coalesced, because a page often sets `hub` and `token` together. */
  readonly #scheduleRejoin = coalesced(() => {
    const before = this.engine;
    if (before && before.address.socket !== hubOf(this).socket) {
      this.disconnectedCallback();
      this.connectedCallback();
    }
  });

  disconnectedCallback(): void {
    this.detached();
    const engine = this.engine;
    this.engine = undefined;
    if (engine) leaveEngine(engine, this);
  }

  get link(): Link {
    return this.engine?.link ?? 'connecting';
  }

  /** Where pictures are painted: `worker` or `page`. */
  get paintsIn(): string {
    return this.engine?.paintsIn ?? '';
  }

  tileState(camera: string): TileState | undefined {
    const picture = this.pictureOf(camera);
    if (!picture || !this.engine) return undefined;
    const { painted, paintedAge, fps, captureTime, width, height, codec } = picture;
    const age = this.engine.age(picture);
    return {
      painted,
      age,
      paintedAge,
      fps,
      captureTime,
      width,
      height,
      frozen: this.engine.frozen.has(camera),
      codec,
      codecReason: pictureReason(picture),
      step: this.engine.lowered.get(camera)?.step ?? 'full',
      sound: this.engine.sound.of(camera)?.state ?? 'none',
    };
  }

  /** Whether the element offers the sound of its cameras. */
  protected get offersSound(): boolean {
    return this.getAttribute('sound') !== 'none';
  }

  protected soundActions(camera: () => string): SoundActions {
    return {
      toggle: () => this.engine?.sound.toggle(camera()),
      setVolume: (volume) => {
        if (this.engine) this.engine.sound.volume = volume;
      },
    };
  }

  protected showSound(view: TileView, camera: string, name: string): void {
    const sound = this.engine?.sound;
    if (sound) view.sound.show(name, this.offersSound ? sound.of(camera) : undefined, sound.volume);
  }

  /** The picture of a camera that is on this screen. */
  protected pictureOf(camera: string): Picture | undefined {
    return this.engine?.pictures.get(camera);
  }

  /** The pixels of a camera's picture as painted, without the letterbox. */
  abstract readTile(camera: string): Promise<Pixels | undefined>;
  abstract changed(): void;
  abstract tick(): void;
  abstract parentOf(camera: string): HTMLElement | undefined;
  abstract hears(camera: string): boolean;
  protected abstract attributeChanged(name: string): void;
  protected abstract attached(): void;
  protected abstract detached(): void;

  protected emit(name: string, detail?: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  protected toggleFullscreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    // Rejected if the page does not allow full screen. The picture still fills the window.
    else this.requestFullscreen().catch(() => undefined);
  }
}
