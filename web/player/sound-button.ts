// The button of a tile that turns its camera's sound on and off, and the volume beside it.
import { createIcon, setIcon, type IconName } from './icons.ts';
import { SOUND_BUTTON } from './sound-browser.ts';
import type { CameraSound, SoundState } from './sound-control.ts';

export interface SoundActions {
  toggle(): void;
  /** From 0 to 1. */
  setVolume(volume: number): void;
}

const ICONS: Readonly<Record<SoundState, IconName>> = {
  muted: 'soundOff',
  waiting: 'soundWaiting',
  on: 'soundOn',
  unavailable: 'soundNone',
};

/** The accessible name. Whether it is pressed says whether sound is on. */
export function soundLabel(name: string, { state, reason }: CameraSound): string {
  if (state === 'waiting') return `Sound of ${name}, waiting for a click`;
  return reason === '' ? `Sound of ${name}` : `Sound of ${name}: ${reason}`;
}

export function soundTitle({ state, reason }: CameraSound): string {
  if (state === 'waiting') return 'Click for sound: the browser starts it only then';
  if (state === 'unavailable') return reason;
  return state === 'on' ? 'Mute (m)' : 'Turn on sound (m)';
}

export class SoundButton {
  readonly element = document.createElement('span');
  readonly #button = document.createElement('button');
  readonly #icon = createIcon('soundOff');
  readonly #volume = document.createElement('input');
  #shown = '';

  constructor(actions: SoundActions) {
    this.element.className = 'sounds';
    this.element.hidden = true;
    this.#button.type = 'button';
    this.#button.className = SOUND_BUTTON;
    this.#button.append(this.#icon);
    this.#button.addEventListener('click', () => actions.toggle());
    this.#volume.type = 'range';
    this.#volume.className = 'volume';
    this.#volume.max = '1';
    this.#volume.step = '0.05';
    this.#volume.addEventListener('input', () => actions.setVolume(this.#volume.valueAsNumber));
    this.element.append(this.#volume, this.#button);
  }

  /** Whether the Tab key reaches the button. */
  set tabIndex(index: number) {
    this.#button.tabIndex = index;
  }

  /** Shows the sound of the camera; nothing if it has none. */
  show(name: string, sound: CameraSound | undefined, volume: number): void {
    const shown = JSON.stringify([name, sound, volume]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.element.hidden = !sound;
    if (!sound) return;
    const { state } = sound;
    setIcon(this.#icon, ICONS[state]);
    this.#button.dataset['state'] = state;
    this.#button.title = soundTitle(sound);
    this.#button.setAttribute('aria-label', soundLabel(name, sound));
    this.#button.setAttribute('aria-pressed', String(state === 'on' || state === 'waiting'));
    this.#button.setAttribute('aria-disabled', String(state === 'unavailable'));
    this.#volume.hidden = state !== 'on';
    this.#volume.value = String(volume);
    this.#volume.setAttribute('aria-label', `Volume of ${name}`);
  }
}
