// <camera-tile camera="door">: one camera in any page. Attributes: camera, stream (main or sub; without it the size of the
// tile decides), hub, token, codec (native, jpeg or mpeg1; without it the tile chooses), quality (best, sub or keys;
// without it the network and the device decide), and sound (on or none; without it the tile has a button).
import type { StreamChoice } from '../client/events.ts';
import { roomOf } from '../client/hub-address.ts';
import { HUB_ATTRIBUTES } from '../client/hub-attributes.ts';
import {
  chooseCodec,
  nextCodec,
  isDataSaverOn,
  choiceReason,
  codecLabel,
  parseCodec,
  type Codec,
  type CodecSetting,
  type Network,
} from './codec-choice.ts';
import type { Engine } from './engine.ts';
import type { FallbackPicture } from './fallback.ts';
import type { Picture, Pixels, Watch } from './messages.ts';
import { Mpeg1Tile } from './mpeg1-tile.ts';
import { parseQuality } from './quality.ts';
import { ScreenElement, type TileState } from './screen-element.ts';
import { singleTileSheets } from './styles.ts';
import { tileStatus } from './tile-status.ts';
import { TileView } from './tile-view.ts';
import { focusOf, wallKey } from './wall-keys.ts';

export class CameraTile extends ScreenElement {
  static readonly observedAttributes = [
    ...HUB_ATTRIBUTES,
    ...['camera', 'stream', 'codec', 'quality', 'sound'],
  ];

  readonly #view: TileView;
  #surface: number | undefined;
  #canvas: HTMLCanvasElement | undefined;
  #visible = false;
  /** The hub's id of the camera, if it differs from the name in the `camera` attribute. */
  #resolved: string | undefined;
  /** The engine whose camera list is being fetched to resolve the name. */
  #resolving: Engine | undefined;
  #fallback: FallbackPicture | undefined;
  readonly #mpeg1 = new Mpeg1Tile();
  /** Whether the sound that the attribute asks for has been turned on. */
  #hasBegunSound = false;
  readonly #resize = new ResizeObserver(() => this.#layout());
  readonly #intersection = new IntersectionObserver((entries) => {
    this.#visible = entries.at(-1)?.isIntersecting ?? false;
    this.#watch();
  });

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: 'open' });
    shadow.adoptedStyleSheets = singleTileSheets();
    this.#view = new TileView(
      {
        open: () => this.toggleFullscreen(),
        retry: () => this.retry(),
        codec: () => this.#switchCodec(),
        quality: (chosen) => this.setAttribute('quality', chosen),
        sound: this.soundActions(() => this.camera),
      },
      'group',
    );
    shadow.append(this.#view.element);
    this.addEventListener('keydown', (event) => this.handleKey(event));
    shadow.addEventListener('keyup', (event) => {
      if ((event as KeyboardEvent).key === ' ' && shadow.activeElement === this.#view.button)
        event.preventDefault();
    });
    this.addEventListener('fullscreenchange', () => this.#watch());
  }

  get camera(): string {
    return this.#resolved ?? this.getAttribute('camera') ?? '';
  }

  /** The requested codec: from the attribute, or chosen by network conditions. */
  get codec(): Codec {
    return chooseCodec(this.#setting, this.#network);
  }

  get #setting(): CodecSetting {
    return parseCodec(this.getAttribute('codec'));
  }

  get #network(): Network {
    const lowered = this.engine?.lowered.get(this.camera);
    const isSlow = lowered?.step === 'mpeg1' && lowered.cause !== 'decoder';
    const slow = isDataSaverOn() ? 'network' : isSlow ? lowered.cause : undefined;
    return { slow, sockets: this.engine?.link !== 'fallback' };
  }

  /** `camera` defaults to the camera of this tile. */
  override tileState(camera = this.camera): TileState | undefined {
    return super.tileState(camera);
  }

  protected override pictureOf(camera: string): Picture | undefined {
    return (this.engine && this.#mpeg1.picture(this.engine)) ?? super.pictureOf(camera);
  }

  async readTile(camera = this.camera): Promise<Pixels | undefined> {
    const mpeg1 = this.#mpeg1.read();
    if (mpeg1) return mpeg1;
    return this.#surface === undefined ? undefined : this.engine?.read(this.#surface, camera);
  }

  retry(): void {
    this.engine?.retry(this.camera);
  }

  freeze(frozen: boolean): void {
    this.engine?.freeze(this.camera, frozen);
    this.tick();
  }

  /** Turns the camera's sound on or off. Browsers start it only when the person uses the page. */
  setSound(on: boolean): void {
    this.engine?.sound.choose(this.camera, on);
  }

  /** For pages that handle keys while no element has focus. Returns true if the key was used. */
  handleKey(event: KeyboardEvent): boolean {
    const key = wallKey(event, false, focusOf(this.shadowRoot?.activeElement));
    if (key === 'freeze') this.freeze(!(this.engine?.frozen.has(this.camera) ?? false));
    else if (key === 'sound' && this.offersSound) this.engine?.sound.toggle(this.camera);
    else if (key === 'fullscreen') this.toggleFullscreen();
    else return false;
    event.preventDefault();
    return true;
  }

  changed(): void {
    const engine = this.engine;
    if (!engine) return;
    if (engine.listed && !engine.cameras.has(this.camera)) void this.#resolve();
    this.#beginSound(engine);
    this.#watch();
    this.tick();
    this.emit('tile-change');
  }

  parentOf(): HTMLElement {
    return this.#view.picture;
  }

  hears(camera: string): boolean {
    return camera === this.camera && this.offersSound;
  }

  tick(): void {
    const engine = this.engine;
    if (!engine) return;
    const id = this.camera;
    const camera = engine.cameras.get(id);
    const fallback = this.#fallback?.removed === false ? this.#fallback : undefined;
    const picture = fallback ? undefined : this.pictureOf(id);
    if (this.#mpeg1.isMissing && engine.lowered.get(id)?.step === 'mpeg1') engine.refuseMpeg1(id);
    // Until the hub has listed its cameras, the camera counts as connecting, not as unknown.
    const link =
      engine.link === 'open' && (!engine.listed || this.#resolving === engine) ? 'connecting' : engine.link;
    const status = tileStatus({
      camera,
      link,
      picture,
      age: fallback ? fallback.age() : picture && engine.age(picture),
      frozen: engine.frozen.has(id),
      stopped: false,
      lagging: engine.isLagging(id),
      lowered: engine.lowered.get(id),
      fallback: fallback?.mode,
      fallbackHasPicture: fallback?.isShowing() ?? false,
    });
    this.#view.update(camera?.name ?? id, status);
    this.#view.showQuality(parseQuality(this.getAttribute('quality')));
    this.showSound(this.#view, id, camera?.name ?? id);
    const mpeg1 = this.#mpeg1.picture(engine);
    if (mpeg1) engine.sound.pictured(id, mpeg1.paintedAge);
    const setting = this.#setting;
    const reason = choiceReason(setting, this.#network, picture);
    this.#view.showCodec(codecLabel(this.codec, picture), reason, setting === 'auto');
  }

  protected attributeChanged(name: string): void {
    // The id may differ on another hub.
    if (!['stream', 'codec', 'quality', 'sound'].includes(name)) this.#resolved = undefined;
    if (name === 'sound' || name === 'camera') this.#hasBegunSound = false;
    this.#layout();
    this.changed();
  }

  protected attached(): void {
    this.#canvas = document.createElement('canvas');
    this.#canvas.setAttribute('aria-hidden', 'true');
    this.shadowRoot?.prepend(this.#canvas);
    this.#surface = this.engine?.addSurface(this.#canvas);
    this.#resize.observe(this);
    this.#intersection.observe(this);
    this.changed();
  }

  protected detached(): void {
    this.#resize.disconnect();
    this.#intersection.disconnect();
    this.#fallback?.remove();
    this.#fallback = undefined;
    this.#mpeg1.remove();
    this.#visible = false;
    if (this.#surface !== undefined) this.engine?.removeSurface(this.#surface);
    this.#surface = undefined;
    this.#canvas?.remove();
  }

  #layout(): void {
    if (!this.#canvas || this.#surface === undefined || !this.engine) return;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(this.clientWidth * scale);
    const height = Math.round(this.clientHeight * scale);
    this.#canvas.style.width = `${this.clientWidth}px`;
    this.#canvas.style.height = `${this.clientHeight}px`;
    this.engine.layout(this.#surface, width, height, [{ camera: this.camera, x: 0, y: 0, width, height }]);
  }

  #watch(): void {
    const engine = this.engine;
    if (!engine || this.camera === '') return;
    const full = document.fullscreenElement === this;
    const attribute = this.getAttribute('stream');
    const stream: StreamChoice = full || attribute === 'main' ? 'main' : 'sub';
    const isLowered = engine.lowered.get(this.camera)?.step === 'mpeg1';
    const watch: Watch = {
      stream: stream === 'sub' && attribute !== 'sub' ? 'auto' : stream,
      native: this.codec === 'native' || isLowered,
      mpeg1: this.#setting === 'auto',
      quality: parseQuality(this.getAttribute('quality')),
    };
    const { camera } = this;
    const frozen = engine.frozen.has(camera);
    const onScreen = this.#visible && document.visibilityState !== 'hidden';
    const mpeg1 = this.codec === 'mpeg1';
    // Where the painter chose MPEG-1, it also chooses when to end it.
    const isWatched = this.#visible && (!mpeg1 || isLowered);
    engine.watch(this, isWatched ? new Map([[camera, watch]]) : new Map());
    // A frozen tile keeps its picture even if it is not visible.
    const parent = this.#view.picture;
    const shown = { camera, stream: isLowered ? 'sub' : stream, parent, frozen } as const;
    this.#mpeg1.show(engine, mpeg1 && (onScreen || frozen) ? shown : undefined);
    const active = engine.link === 'fallback' && onScreen;
    const request = active ? { camera, stream, parent, preferred: full, frozen } : undefined;
    this.#fallback = engine.fallback.show(this.#fallback, request);
    if (active) engine.fallback.assign();
  }

  #beginSound({ sound, cameras }: Engine): void {
    if (this.#hasBegunSound || this.getAttribute('sound') !== 'on' || !cameras.get(this.camera)?.sound)
      return;
    this.#hasBegunSound = true;
    sound.begin(this.camera);
  }

  #switchCodec(): void {
    const shown =
      this.codec === 'native' && this.pictureOf(this.camera)?.codec === 'jpeg' ? 'jpeg' : this.codec;
    const setting = nextCodec(this.#setting, shown);
    if (setting === 'auto') this.removeAttribute('codec');
    else this.setAttribute('codec', setting);
  }

  /** Looks up the camera's id. A room has a short and a full name; frames carry the short one, the camera list both. */
  async #resolve(): Promise<void> {
    const engine = this.engine;
    const requested = this.getAttribute('camera') ?? '';
    if (!engine || this.#resolving === engine || requested === '') return;
    this.#resolving = engine;
    const { app, room } = roomOf(requested);
    const rows = (await engine.fetchRows()) ?? [];
    if (this.#resolving === engine) this.#resolving = undefined;
    const row = rows.find((candidate) => isRoom(candidate, app, room));
    if (row && requested === this.getAttribute('camera') && this.engine === engine) {
      const { id } = row as { id: string };
      if (id === requested || id === this.#resolved) return;
      this.#resolved = id;
      this.#layout();
      this.changed();
    }
  }
}

function isRoom(row: unknown, app: string, room: string): boolean {
  if (typeof row !== 'object' || row === null) return false;
  const fields = row as Record<string, unknown>;
  return fields['app'] === app && fields['fullRoom'] === room && typeof fields['id'] === 'string';
}
