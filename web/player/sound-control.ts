// Which camera of the page has sound: none at first, one at a time, remembered. Starts and ends its output, and waits for
// the person where the browser lets no page make sound by itself. It plays nothing itself (`sound-output.ts`).
import type { Camera, SoundInfo } from '../client/events.ts';
import type { SoundUnit } from '../client/frame.ts';
import type { SoundOutput, SoundOptions } from './sound-output.ts';
import { rememberedSound, rememberSound, type SoundChoice } from './sound-memory.ts';

/**
 * `waiting`: on, but the browser waits until the person uses the page. `unavailable`: the browser cannot play it.
 */
export type SoundState = 'muted' | 'waiting' | 'on' | 'unavailable';

export interface CameraSound {
  readonly state: SoundState;
  /** Why it is unavailable; empty otherwise. */
  readonly reason: string;
}

/** The part of a browser that is used. Passed in, so that tests need none. */
export interface SoundBrowser {
  /** Returns `undefined` if there is no AudioContext. */
  createContext(rate: number): AudioContext | undefined;
  load(): Promise<new (options: SoundOptions) => SoundOutput>;
  /** Calls back whenever the person uses the page, except on a sound button. Returns a function that ends this. */
  onUse(callback: () => void): () => void;
  storage(): Storage;
  readonly isSecure: boolean;
}

/** What sound needs to know of the hub that the cameras belong to. */
export interface SoundSource {
  /** The address of the hub, without its token. */
  readonly hub: string;
  cameraOf(id: string): Camera | undefined;
  /** Whether sound of the camera may be heard: an element shows it, and it is not frozen. */
  isHeard(id: string): boolean;
  /** The hub's time in µs. */
  now(): number;
  /** Requests the sound of a camera from the hub. */
  listen(camera: string | undefined): void;
  /** The state of a camera has changed. */
  changed(): void;
}

interface Playing {
  readonly camera: string;
  readonly format: string;
  readonly context: AudioContext;
  output: SoundOutput | undefined;
  /** Why it cannot be played; empty if nothing is known against it. */
  failure: string;
}

const CODEC_NAMES: Readonly<Record<SoundInfo['codec'], string>> = {
  aac: 'AAC',
  opus: 'Opus',
  pcma: 'G.711',
  pcmu: 'G.711',
};

/** The controls of all hubs of this page, of which one at most has sound. */
const controls = new Set<SoundControl>();

export class SoundControl {
  readonly #browser: SoundBrowser;
  readonly #source: SoundSource;
  /** The camera that has sound, if its hub, camera and the browser permit. */
  #chosen: string | undefined;
  #volume: number;
  #playing: Playing | undefined;
  #heard: string | undefined;
  #stopWaiting: (() => void) | undefined;

  constructor(browser: SoundBrowser, source: SoundSource) {
    this.#browser = browser;
    this.#source = source;
    const { choice, volume } = rememberedSound(() => browser.storage());
    this.#volume = volume;
    // The page may show the same hub twice, with different tokens.
    const isFree = [...controls].every((control) => control.#chosen === undefined);
    if (choice?.hub === source.hub && isFree) this.#chosen = choice.camera;
    controls.add(this);
  }

  get volume(): number {
    return this.#volume;
  }

  set volume(volume: number) {
    this.#volume = Math.min(1, Math.max(0, volume));
    this.#playing?.output?.setVolume(this.#volume);
    this.#remember();
  }

  /** Returns the state of a camera's sound; `undefined` if it has none. */
  of(id: string): CameraSound | undefined {
    const sound = this.#source.cameraOf(id)?.sound;
    if (!sound) return undefined;
    const reason = this.#obstacle(id, sound);
    if (reason !== '') return { state: 'unavailable', reason };
    if (this.#chosen !== id) return { state: 'muted', reason: '' };
    const isWaiting = this.#playing !== undefined && !isRunning(this.#playing.context);
    return { state: isWaiting ? 'waiting' : 'on', reason: '' };
  }

  /** Turns the sound of a camera on, or off. Call it when the person asks for it: browsers check that. */
  choose(camera: string, on: boolean): void {
    if (!on && this.#chosen !== camera) return;
    if (on) this.begin(camera);
    else this.#release();
    this.#remember();
  }

  /** Turns the sound of a camera on, without remembering it. */
  begin(camera: string): void {
    for (const other of controls) if (other !== this) other.#release();
    this.#chosen = camera;
    this.update();
    this.#resume();
    this.#source.changed();
  }

  /** Turns the sound of a camera on or off, as the button does. Sound that waits for the person starts. */
  toggle(camera: string): void {
    const state = this.of(camera)?.state;
    if (state === undefined || state === 'unavailable') return;
    this.choose(camera, state !== 'on');
  }

  /** Starts or ends the sound after the cameras, what is shown of them, or the choice have changed. */
  update(): void {
    const camera = this.#chosen;
    const sound = camera === undefined ? undefined : this.#source.cameraOf(camera)?.sound;
    const wanted =
      camera !== undefined && sound && this.#source.isHeard(camera) ? { camera, sound } : undefined;
    const format = wanted && JSON.stringify(wanted.sound);
    if (this.#playing && (this.#playing.camera !== camera || this.#playing.format !== format)) this.#stop();
    if (wanted && !this.#playing && this.#obstacle(wanted.camera, wanted.sound) === '')
      this.#start(wanted.camera, wanted.sound);
    this.#listen();
  }

  receive(unit: SoundUnit): void {
    if (unit.camera === this.#playing?.camera) this.#playing.output?.receive(unit);
  }

  /** Records the age of a camera's picture when it was painted; ms. */
  pictured(camera: string, age: number): void {
    if (camera === this.#playing?.camera) this.#playing.output?.pictured(age);
  }

  close(): void {
    controls.delete(this);
    this.#stop();
  }

  #release(): void {
    if (this.#chosen === undefined) return;
    this.#chosen = undefined;
    this.update();
    this.#source.changed();
  }

  #remember(): void {
    const choice: SoundChoice | undefined =
      this.#chosen === undefined ? undefined : { hub: this.#source.hub, camera: this.#chosen };
    rememberSound({ ...(choice && { choice }), volume: this.#volume }, () => this.#browser.storage());
  }

  /** Why the browser cannot play the sound; empty if nothing is known against it. */
  #obstacle(id: string, { codec }: SoundInfo): string {
    if (codec === 'opus' && !this.#browser.isSecure) return 'Opus sound needs a page over https';
    return this.#playing?.camera === id ? this.#playing.failure : '';
  }

  #start(camera: string, sound: SoundInfo): void {
    const context = this.#browser.createContext(sound.rate);
    if (!context) return;
    const playing: Playing = {
      camera,
      format: JSON.stringify(sound),
      context,
      output: undefined,
      failure: '',
    };
    this.#playing = playing;
    context.onstatechange = () => {
      if (this.#playing !== playing) return;
      this.#listen();
      this.#source.changed();
    };
    // Browsers that need no permission, or have it, start by themselves or now.
    context.resume().catch(() => undefined);
    void this.#load(playing, sound);
  }

  async #load(playing: Playing, sound: SoundInfo): Promise<void> {
    const fail = (failure: string): void => {
      playing.failure = failure;
      this.#listen();
      this.#source.changed();
    };
    const Output = await this.#browser.load().catch(() => undefined);
    if (this.#playing !== playing) return;
    if (!Output) {
      fail('The hub did not send its sound player; reload the page');
      return;
    }
    playing.output = new Output({
      context: playing.context,
      sound,
      volume: this.#volume,
      now: () => this.#source.now(),
      failed: () => fail(`This browser cannot play ${CODEC_NAMES[sound.codec]} sound`),
    });
    this.#listen();
  }

  #stop(): void {
    const playing = this.#playing;
    this.#playing = undefined;
    if (playing?.output) playing.output.close();
    else void playing?.context.close();
    this.#listen();
  }

  /** Requests the sound of the camera while it can be played, and waits for the person while the browser does. */
  #listen(): void {
    const playing = this.#playing;
    const isReady = playing?.output !== undefined && playing.failure === '' && isRunning(playing.context);
    const heard = isReady ? playing.camera : undefined;
    if (heard !== this.#heard) {
      this.#heard = heard;
      this.#source.listen(heard);
    }
    const isWaiting = playing !== undefined && playing.failure === '' && !isRunning(playing.context);
    if (isWaiting) this.#stopWaiting ??= this.#browser.onUse(() => this.#resume());
    else {
      this.#stopWaiting?.();
      this.#stopWaiting = undefined;
    }
  }

  #resume(): void {
    this.#playing?.context.resume().catch(() => undefined);
  }
}

const isRunning = ({ state }: AudioContext): boolean => state === 'running';
