// <camera-wall>: all cameras of a hub, or those in its `cameras` attribute, as a grid or one at a time. Pictures are
// painted on canvases. The tiles above them show names and states and take focus.
import type { Camera } from '../client/events.ts';
import { coalesced } from '../client/coalesced.ts';
import { HUB_ATTRIBUTES } from '../client/hub-attributes.ts';
import type { FallbackPicture } from './fallback.ts';
import { bands, layoutGrid, typicalAspect, type Grid } from './grid.ts';
import type { Picture, Pixels, Quality, Watch } from './messages.ts';
import { Mpeg1Tile } from './mpeg1-tile.ts';
import { ScreenElement } from './screen-element.ts';
import { wallSheets } from './styles.ts';
import { tileStatus } from './tile-status.ts';
import { TileView } from './tile-view.ts';
import { focusOf, nextCamera, wallKey } from './wall-keys.ts';
import { WallSurfaces, type PlacedTile } from './wall-surfaces.ts';

interface Tile {
  readonly view: TileView;
  visible: boolean;
  fallback: FallbackPicture | undefined;
  readonly mpeg1: Mpeg1Tile;
  quality: Quality;
}

const NO_GRID: Grid = { columns: 0, rows: 0, tiles: [], height: 0, pitch: 0 };

export class CameraWall extends ScreenElement {
  static readonly observedAttributes = [...HUB_ATTRIBUTES, 'cameras', 'sound'];

  readonly #viewport = document.createElement('div');
  readonly #content = document.createElement('div');
  /**
   * Shows why there are no pictures. Always rendered, because screen readers may not announce a live region that is
   * inserted together with its text.
   */
  readonly #refusal = document.createElement('div');
  readonly #tiles = new Map<string, Tile>();
  readonly #cameraOf = new Map<Element, string>();
  #surfaces: WallSurfaces | undefined;
  #grid = NO_GRID;
  #solo: string | undefined;
  #current: string | undefined;
  #running = true;
  readonly #resize = new ResizeObserver(() => this.#layout());
  readonly #intersection = new IntersectionObserver((entries) => this.#onIntersection(entries), {
    threshold: [0, 0.01],
  });

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: 'open' });
    shadow.adoptedStyleSheets = wallSheets();
    this.#viewport.className = 'viewport';
    this.#content.className = 'content';
    this.#content.setAttribute('role', 'list');
    this.#content.setAttribute('aria-label', 'Cameras');
    this.#viewport.append(this.#content);
    this.#refusal.className = 'refusal';
    this.#refusal.setAttribute('role', 'status');
    shadow.append(this.#viewport, this.#refusal);
    this.#viewport.addEventListener('scroll', () => this.#scheduleLayout(), { passive: true });
    this.addEventListener('keydown', (event) => this.handleKey(event));
    // A button is clicked when Space is released, even if the keydown was handled.
    shadow.addEventListener('keyup', (event) => {
      const isTile = focusOf(shadow.activeElement) === 'tile' && this.#focused() !== undefined;
      if ((event as KeyboardEvent).key === ' ' && isTile) event.preventDefault();
    });
  }

  /** The cameras of this wall, in the hub's order. */
  get cameras(): Camera[] {
    const attribute = this.getAttribute('cameras');
    const all = [...(this.engine?.cameras.values() ?? [])];
    if (attribute === null || attribute.trim() === '') return all;
    const ids = new Set(attribute.split(',').map((id) => id.trim()));
    return all.filter(({ id }) => ids.has(id));
  }

  /** Whether the hub has listed its cameras. Until then, an empty list does not mean that there are no cameras. */
  get listed(): boolean {
    return this.engine?.listed ?? false;
  }

  /** The camera that fills the wall; `undefined` in the grid. */
  get solo(): string | undefined {
    return this.#solo;
  }

  get running(): boolean {
    return this.#running;
  }

  start(): void {
    this.#run(true);
  }

  /** Stops all streams until `start`. */
  stop(): void {
    this.#run(false);
  }

  open(camera: string): void {
    if (!this.#tiles.has(camera) || this.#solo === camera) return;
    this.#solo = camera;
    this.#current = camera;
    this.#layout();
    this.focusCamera(camera);
    this.emit('wall-change');
  }

  closeSolo(): void {
    const camera = this.#solo;
    if (camera === undefined) return;
    this.#solo = undefined;
    this.#layout();
    this.focusCamera(camera);
    this.emit('wall-change');
  }

  /** Chooses how much of a camera is shown: `auto`, `best`, `sub` or `keys`. */
  setQuality(camera: string, quality: Quality): void {
    const tile = this.#tiles.get(camera);
    if (!tile) return;
    tile.quality = quality;
    this.#watch();
    this.tick();
  }

  freeze(camera: string, frozen: boolean): void {
    this.engine?.freeze(camera, frozen);
    this.tick();
  }

  retry(camera: string): void {
    this.engine?.retry(camera);
  }

  /** Turns a camera's sound on or off. Browsers start it only when the person uses the page. */
  setSound(camera: string, on: boolean): void {
    this.engine?.sound.choose(camera, on);
  }

  focusCamera(camera: string): void {
    this.#setCurrent(camera);
    this.#tiles.get(camera)?.view.button.focus();
  }

  protected override pictureOf(camera: string): Picture | undefined {
    const mpeg1 = this.#tiles.get(camera)?.mpeg1;
    return (this.engine && mpeg1?.picture(this.engine)) ?? super.pictureOf(camera);
  }

  async readTile(camera: string): Promise<Pixels | undefined> {
    const mpeg1 = this.#tiles.get(camera)?.mpeg1.read();
    if (mpeg1) return mpeg1;
    const surface = this.#surfaces?.surfaceOf(camera);
    return surface === undefined ? undefined : this.engine?.read(surface, camera);
  }

  /** For pages that handle keys while no element has focus. Returns true if the key was used. */
  handleKey(event: KeyboardEvent): boolean {
    const key = wallKey(event, this.#solo !== undefined, focusOf(this.shadowRoot?.activeElement));
    if (!key) return false;
    const camera = this.#solo ?? this.#focused() ?? this.#current;
    switch (key) {
      case 'close':
        this.closeSolo();
        break;
      case 'freeze':
        if (camera !== undefined) this.freeze(camera, !(this.engine?.frozen.has(camera) ?? false));
        break;
      case 'sound':
        if (camera !== undefined && this.offersSound) this.engine?.sound.toggle(camera);
        break;
      case 'fullscreen':
        if (camera !== undefined) this.open(camera);
        this.toggleFullscreen();
        break;
      default: {
        const ids = [...this.#tiles.keys()];
        const target = nextCamera(
          ids,
          this.#solo ?? this.#focused(),
          key,
          this.#grid.columns,
          this.#solo !== undefined,
        );
        if (target === undefined) break;
        if (this.#solo === undefined) this.focusCamera(target);
        else this.open(target);
      }
    }
    event.preventDefault();
    return true;
  }

  changed(): void {
    if (!this.engine) return;
    this.#syncTiles();
    this.#showRefusal();
    for (const { id, name } of this.cameras) {
      const tile = this.#tiles.get(id);
      if (!tile || tile.visible) continue;
      tile.view.rename(name);
      this.showSound(tile.view, id, name);
    }
    this.#scheduleLayout();
    // Not deferred to the layout: a hidden page has no animation frames, and its streams must stop.
    this.#watch();
    this.tick();
    this.emit('wall-change');
  }

  parentOf(camera: string): HTMLElement | undefined {
    return this.#tiles.get(camera)?.view.picture;
  }

  hears(camera: string): boolean {
    const isShown = this.#tiles.has(camera) && (this.#solo === undefined || this.#solo === camera);
    return isShown && this.#running && this.offersSound;
  }

  tick(): void {
    const engine = this.engine;
    if (!engine) return;
    for (const [id, tile] of this.#tiles) {
      if (!tile.visible) continue;
      const camera = engine.cameras.get(id);
      const fallback = tile.fallback?.removed === false ? tile.fallback : undefined;
      const picture = fallback ? undefined : this.pictureOf(id);
      const lowered = engine.lowered.get(id);
      if (tile.mpeg1.isMissing && lowered?.step === 'mpeg1') engine.refuseMpeg1(id);
      const age = fallback ? fallback.age() : picture && engine.age(picture);
      const status = tileStatus({
        camera,
        link: engine.link,
        picture,
        age,
        frozen: engine.frozen.has(id),
        stopped: !this.#running,
        lagging: engine.isLagging(id),
        lowered,
        fallback: fallback?.mode,
        fallbackHasPicture: fallback?.isShowing() ?? false,
      });
      tile.view.update(camera?.name ?? id, status);
      tile.view.showQuality(tile.quality);
      this.showSound(tile.view, id, camera?.name ?? id);
      const mpeg1 = tile.mpeg1.picture(engine);
      if (mpeg1) engine.sound.pictured(id, mpeg1.paintedAge);
    }
  }

  protected attributeChanged(): void {
    this.changed();
  }

  protected attached(): void {
    if (!this.engine) return;
    this.#surfaces = new WallSurfaces(this.engine, this.#content);
    this.#resize.observe(this);
    this.changed();
  }

  protected detached(): void {
    this.#resize.disconnect();
    this.#intersection.disconnect();
    for (const id of [...this.#tiles.keys()]) this.#removeTile(id);
    this.#surfaces?.clear();
    this.#surfaces = undefined;
    this.#refusal.replaceChildren();
  }

  #run(running: boolean): void {
    if (this.#running === running) return;
    this.#running = running;
    this.#watch();
    this.tick();
    this.emit('wall-change');
  }

  #syncTiles(): void {
    const cameras = this.cameras;
    const ids = new Set(cameras.map(({ id }) => id));
    for (const id of [...this.#tiles.keys()]) if (!ids.has(id)) this.#removeTile(id);
    for (const { id } of cameras) if (!this.#tiles.has(id)) this.#addTile(id);
    if (this.#solo !== undefined && !ids.has(this.#solo)) this.#solo = undefined;
    if (this.#current === undefined || !ids.has(this.#current)) this.#setCurrent(cameras[0]?.id);
  }

  #showRefusal(): void {
    const refused = this.engine?.refused ?? false;
    if (refused === this.#refusal.hasChildNodes()) return;
    this.#refusal.replaceChildren();
    if (!refused) return;
    const text = document.createElement('p');
    text.textContent = `This hub does not allow pages from ${window.origin}. Add this origin to allowed_origins in the hub's configuration.`;
    this.#refusal.append(text);
  }

  #addTile(id: string): void {
    const view = new TileView(
      {
        open: () => this.#toggle(id),
        retry: () => this.retry(id),
        quality: (chosen) => this.setQuality(id, chosen),
        sound: this.soundActions(() => id),
      },
      'listitem',
    );
    view.setTabStop(false);
    view.button.addEventListener('focus', () => this.#setCurrent(id));
    this.#content.append(view.element);
    const mpeg1 = new Mpeg1Tile();
    this.#tiles.set(id, { view, visible: false, fallback: undefined, mpeg1, quality: 'auto' });
    this.#cameraOf.set(view.element, id);
    this.#intersection.observe(view.element);
  }

  #removeTile(id: string): void {
    const tile = this.#tiles.get(id);
    if (!tile) return;
    tile.fallback?.remove();
    tile.mpeg1.remove();
    this.#intersection.unobserve(tile.view.element);
    this.#cameraOf.delete(tile.view.element);
    tile.view.element.remove();
    this.#tiles.delete(id);
  }

  #toggle(id: string): void {
    if (this.#solo === id) this.closeSolo();
    else this.open(id);
  }

  /** Sets the one tile that the Tab key reaches. Arrow keys move from there. */
  #setCurrent(id: string | undefined): void {
    const before = this.#current === undefined ? undefined : this.#tiles.get(this.#current);
    before?.view.setTabStop(false);
    this.#current = id;
    const after = id === undefined ? undefined : this.#tiles.get(id);
    after?.view.setTabStop(true);
    if (this.link === 'fallback') this.#watch();
  }

  #focused(): string | undefined {
    const active = this.shadowRoot?.activeElement;
    const element = active?.closest('.tile');
    return element ? this.#cameraOf.get(element) : undefined;
  }

  readonly #scheduleLayout = coalesced(
    () => this.#layout(),
    (layout) => requestAnimationFrame(layout),
  );

  #layout(): void {
    if (!this.engine) return;
    const height = this.#viewport.offsetHeight;
    const ids = this.#solo === undefined ? [...this.#tiles.keys()] : [this.#solo];
    let width = this.#viewport.offsetWidth;
    const aspect = typicalAspect(this.cameras);
    let grid =
      this.#solo === undefined ? layoutGrid(ids.length, width, height, aspect) : soloGrid(width, height);
    const fits = grid.height <= height;
    this.#viewport.classList.toggle('fits', fits);
    if (!fits && this.#viewport.clientWidth < width) {
      // The scrollbar reduces the width.
      width = this.#viewport.clientWidth;
      grid = layoutGrid(ids.length, width, height, aspect);
    }
    if (this.#solo === undefined) this.#grid = grid;
    this.#content.style.height = `${Math.max(grid.height, height)}px`;
    const placed: PlacedTile[] = ids.flatMap((camera, index) => {
      const rect = grid.tiles[index];
      return rect ? [{ camera, row: Math.floor(index / grid.columns), ...rect }] : [];
    });
    for (const [id, { view }] of this.#tiles)
      view.element.hidden = this.#solo !== undefined && id !== this.#solo;
    for (const tile of placed) {
      const style = this.#tiles.get(tile.camera)?.view.element.style;
      if (!style) continue;
      style.left = `${tile.x}px`;
      style.top = `${tile.y}px`;
      style.width = `${tile.width}px`;
      style.height = `${tile.height}px`;
    }
    this.#surfaces?.arrange(placed, bands(grid, height, this.#viewport.scrollTop), width);
    this.#watch();
  }

  #onIntersection(entries: readonly IntersectionObserverEntry[]): void {
    for (const entry of entries) {
      const tile = this.#tiles.get(this.#cameraOf.get(entry.target) ?? '');
      if (tile) tile.visible = entry.isIntersecting && entry.intersectionRatio > 0;
    }
    this.#watch();
    this.tick();
  }

  #watch(): void {
    const cameras = new Map<string, Watch>();
    if (this.#running) {
      for (const [id, tile] of this.#tiles) {
        if (tile.visible && (this.#solo === undefined || this.#solo === id)) {
          const stream = id === this.#solo ? 'main' : 'auto';
          cameras.set(id, { stream, native: true, mpeg1: true, quality: tile.quality });
        }
      }
    }
    this.engine?.watch(this, cameras);
    this.#showMpeg1(cameras);
    this.#showFallback(cameras);
  }

  #showMpeg1(cameras: ReadonlyMap<string, Watch>): void {
    const engine = this.engine;
    if (!engine) return;
    const isPossible = engine.link !== 'fallback' && document.visibilityState !== 'hidden';
    for (const [camera, { view, mpeg1 }] of this.#tiles) {
      const isShown = cameras.has(camera) && engine.lowered.get(camera)?.step === 'mpeg1';
      const frozen = engine.frozen.has(camera);
      const shown = { camera, stream: 'sub', parent: view.picture, frozen } as const;
      mpeg1.show(engine, isShown && isPossible ? shown : undefined);
    }
  }

  #showFallback(cameras: ReadonlyMap<string, Watch>): void {
    const engine = this.engine;
    if (!engine) return;
    const active = engine.link === 'fallback' && document.visibilityState !== 'hidden';
    for (const [camera, tile] of this.#tiles) {
      const isShown = active && cameras.has(camera);
      const stream = camera === this.#solo ? 'main' : 'sub';
      const parent = tile.view.picture;
      const preferred = camera === this.#current;
      const frozen = engine.frozen.has(camera);
      tile.fallback = engine.fallback.show(
        tile.fallback,
        isShown ? { camera, stream, parent, preferred, frozen } : undefined,
      );
    }
    if (active) engine.fallback.assign();
  }
}

function soloGrid(width: number, height: number): Grid {
  return { columns: 1, rows: 1, tiles: [{ x: 0, y: 0, width, height }], height, pitch: height };
}
