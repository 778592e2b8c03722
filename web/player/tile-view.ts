// The elements over a camera's picture: its name, state, age and buttons. The picture itself is on a canvas below,
// except in the fallback and for MPEG-1, which add an element here.
import { createIcon, setIcon } from './icons.ts';
import type { Quality } from './messages.ts';
import { parseQuality, QUALITIES } from './quality.ts';
import { SoundButton, type SoundActions } from './sound-button.ts';
import type { TileStatus } from './tile-status.ts';

export interface TileActions {
  open(): void;
  retry(): void;
  /** Selects another codec. Without it there is no codec button. */
  codec?(): void;
  quality(chosen: Quality): void;
  readonly sound: SoundActions;
}

export class TileView {
  readonly element = div('tile');
  readonly picture = div('picture');
  /** The button that takes focus for the camera. */
  readonly button = document.createElement('button');
  readonly sound: SoundButton;
  readonly #name = span('name');
  readonly #label = span('label');
  readonly #format = span('format');
  readonly #why = span('why');
  readonly #rate = span('rate');
  readonly #age = span('age');
  readonly #icon = createIcon('waiting');
  readonly #overlay = div('overlay');
  readonly #overlayIcon = createIcon('waiting');
  readonly #headline = span('headline');
  readonly #reason = span('reason');
  readonly #retry = document.createElement('button');
  readonly #badge = span('badge');
  readonly #quality = document.createElement('select');
  readonly #codec = document.createElement('button');
  #hasCodecButton = false;
  #buttonLabel = '';

  constructor(actions: TileActions, role: 'listitem' | 'group') {
    this.element.setAttribute('role', role);
    this.button.type = 'button';
    this.button.className = 'open';
    this.button.addEventListener('click', () => actions.open());
    this.#retry.type = 'button';
    this.#retry.className = 'retry';
    this.#retry.hidden = true;
    const word = span('word');
    word.textContent = 'Retry';
    this.#retry.append(createIcon('retry'), word);
    this.#retry.addEventListener('click', () => actions.retry());
    // The reason takes pointer events, because its title has the full text. A click on it still opens the tile.
    this.#reason.addEventListener('click', () => actions.open());
    // The same for the codec, whose title has the reason.
    this.#format.addEventListener('click', () => actions.open());
    this.#badge.append(createIcon('pause'), 'Frozen');
    this.#badge.hidden = true;
    this.#overlay.hidden = true;
    this.#overlay.append(this.#overlayIcon, this.#headline, this.#reason, this.#retry);
    const bar = div('bar');
    bar.append(this.#icon, this.#name, this.#label, this.#why, this.#format, this.#rate, this.#age);
    for (const [quality, label] of QUALITIES) this.#quality.add(new Option(label, quality));
    this.#quality.className = 'quality';
    this.#quality.addEventListener('change', () => actions.quality(parseQuality(this.#quality.value)));
    this.sound = new SoundButton(actions.sound);
    bar.append(this.#quality, this.sound.element);
    this.#hasCodecButton = actions.codec !== undefined;
    if (actions.codec) {
      this.#codec.type = 'button';
      this.#codec.className = 'codec';
      this.#codec.addEventListener('click', () => actions.codec?.());
      bar.append(this.#codec);
    }
    this.element.append(this.picture, this.button, this.#overlay, bar, this.#badge);
  }

  /** Whether the Tab key reaches the tile. */
  setTabStop(isStop: boolean): void {
    this.button.tabIndex = this.sound.tabIndex = isStop ? 0 : -1;
  }

  update(name: string, status: TileStatus): void {
    if (this.element.dataset['tone'] !== status.tone) this.element.dataset['tone'] = status.tone;
    // The accessible name includes the state but not the age, which a screen reader would announce repeatedly.
    this.#labelButtons(name, `${name}, ${status.label.toLowerCase()}`);
    setText(this.#name, name);
    setText(this.#label, status.label);
    if (this.#label.title !== status.label) this.#label.title = status.label;
    this.#showFormat(status);
    setText(this.#rate, status.rate);
    setText(this.#age, status.age === '' ? '' : status.stale ? `${status.age} old` : status.age);
    this.#age.classList.toggle('stale', status.stale);
    setIcon(this.#icon, status.icon);
    this.#badge.hidden = status.tone !== 'frozen';
    this.#overlay.hidden = status.headline === '';
    if (status.headline !== '') {
      setIcon(this.#overlayIcon, status.icon);
      setText(this.#headline, status.headline);
      setText(this.#reason, status.reason);
      if (this.#reason.title !== status.reason) this.#reason.title = status.reason;
    }
    this.#retry.hidden = !status.canRetry;
  }

  #showFormat({ codec, size, codecReason }: TileStatus): void {
    setText(this.#format, this.#hasCodecButton || codec === '' ? size : `${codec} ${size}`);
    const reason = codecReason === '' ? '' : `${codec}, ${codecReason}`;
    setText(this.#why, reason);
    if (this.#format.title !== reason) this.#format.title = reason;
  }

  showQuality(quality: Quality): void {
    if (this.#quality.value !== quality) this.#quality.value = quality;
  }

  /** Shows the codec and why it was chosen; `auto` if the tile chose it. */
  showCodec(label: string, reason: string, auto: boolean): void {
    const text = auto ? `${label} · auto` : label;
    setText(this.#codec, text);
    // The accessible name starts with the visible text, so that voice control finds the button.
    const title = `${text}, ${reason}. Press to change.`;
    if (this.#codec.title === title) return;
    this.#codec.title = title;
    this.#codec.setAttribute('aria-label', title);
  }

  /** Updates only the name, for a tile out of view, which assistive technology can still reach. */
  rename(name: string): void {
    setText(this.#name, name);
    this.#labelButtons(name, name);
  }

  #labelButtons(name: string, label: string): void {
    if (label === this.#buttonLabel) return;
    this.#buttonLabel = label;
    this.button.setAttribute('aria-label', label);
    this.#retry.setAttribute('aria-label', `Retry ${name}`);
    this.#quality.setAttribute('aria-label', `Picture of ${name}`);
  }
}

/** Sets the text only if it changed, because setting the same text would still cause a layout. */
function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

function div(className: string): HTMLDivElement {
  const element = document.createElement('div');
  element.className = className;
  return element;
}

function span(className: string): HTMLSpanElement {
  const element = document.createElement('span');
  element.className = className;
  return element;
}
