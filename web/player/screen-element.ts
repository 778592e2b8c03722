// What <camera-wall> and <camera-tile> have in common: which hub they belong to, when they join and leave it, and
// what a test or a page can ask about a picture.
import { gathered } from '../client/gathered.ts';
import { HUB_ATTRIBUTES, hubOf } from '../client/hub-attributes.ts';
import type { Link } from '../client/connection.ts';
import { joinEngine, leaveEngine, type Engine, type Screen } from './engine.ts';
import type { Picture, Pixels } from './messages.ts';

export interface TileState {
  /** How many pictures were painted so far. */
  readonly painted: number;
  /** ms, of the picture that is on the screen now. */
  readonly age: number;
  /** ms, of that picture at the moment it was painted. */
  readonly paintedAge: number;
  readonly fps: number;
  /** µs since the Unix epoch by the hub's clock. */
  readonly captureTime: number;
  readonly width: number;
  readonly height: number;
  readonly frozen: boolean;
}

export abstract class ScreenElement extends HTMLElement implements Screen {
  protected engine: Engine | undefined;

  connectedCallback(): void {
    this.engine = joinEngine(hubOf(this), this);
    this.joined();
  }

  attributeChangedCallback(name: string): void {
    if (HUB_ATTRIBUTES.includes(name)) this.#rejoinSoon();
    this.attributeChanged(name);
  }

  /** A page often sets `hub` and `token` together: that is one reconnect. */
  readonly #rejoinSoon = gathered(() => {
    const before = this.engine;
    if (before && before.address.socket !== hubOf(this).socket) {
      this.disconnectedCallback();
      this.connectedCallback();
    }
  });

  disconnectedCallback(): void {
    this.left();
    const engine = this.engine;
    this.engine = undefined;
    if (engine) leaveEngine(engine, this);
  }

  get link(): Link {
    return this.engine?.link ?? 'connecting';
  }

  /** Whether a worker paints, or this page. */
  get paintsIn(): string {
    return this.engine?.paintsIn ?? '';
  }

  tileState(camera: string): TileState | undefined {
    const picture = this.pictureOf(camera);
    if (!picture || !this.engine) return undefined;
    const { painted, paintedAge, fps, captureTime, width, height } = picture;
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
    };
  }

  /** The picture of a camera that is on this screen. */
  protected pictureOf(camera: string): Picture | undefined {
    return this.engine?.pictures.get(camera);
  }

  /** The pixels of a camera's picture as painted, without letterbox. */
  abstract readTile(camera: string): Promise<Pixels | undefined>;
  abstract changed(): void;
  abstract tick(): void;
  protected abstract attributeChanged(name: string): void;
  protected abstract joined(): void;
  protected abstract left(): void;

  protected say(name: string, detail?: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  protected toggleFullscreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    // Refused where the page does not allow it; the picture still fills the window.
    else this.requestFullscreen().catch(() => undefined);
  }
}
