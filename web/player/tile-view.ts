// The elements that lie over a camera's picture: its name, its state, its age, its buttons. The picture itself is
// on a canvas below; only the MJPEG fallback puts an image here.
import { createIcon, setIcon } from './icons.ts';
import type { TileStatus } from './tile-status.ts';

export interface TileActions {
  open(): void;
  retry(): void;
  /** Asks for another codec; where there is no choice there is no button. */
  codec?(): void;
}

export class TileView {
  readonly element = div('tile');
  readonly picture = div('picture');
  /** What takes the focus for the camera. */
  readonly button = document.createElement('button');
  readonly #name = span('name');
  readonly #label = span('label');
  readonly #rate = span('rate');
  readonly #age = span('age');
  readonly #icon = createIcon('waiting');
  readonly #veil = div('veil');
  readonly #veilIcon = createIcon('waiting');
  readonly #headline = span('headline');
  readonly #reason = span('reason');
  readonly #retry = document.createElement('button');
  readonly #badge = span('badge');
  readonly #codec = document.createElement('button');
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
    // It can be pointed at, because its title has what was cut off; the tile opens below it all the same.
    this.#reason.addEventListener('click', () => actions.open());
    this.#badge.append(createIcon('pause'), 'Frozen');
    this.#badge.hidden = true;
    this.#veil.hidden = true;
    this.#veil.append(this.#veilIcon, this.#headline, this.#reason, this.#retry);
    const bar = div('bar');
    bar.append(this.#icon, this.#name, this.#label, this.#rate, this.#age);
    if (actions.codec) {
      this.#codec.type = 'button';
      this.#codec.className = 'codec';
      this.#codec.addEventListener('click', () => actions.codec?.());
      bar.append(this.#codec);
    }
    this.element.append(this.picture, this.button, this.#veil, bar, this.#badge);
  }

  update(name: string, status: TileStatus): void {
    if (this.element.dataset['tone'] !== status.tone) this.element.dataset['tone'] = status.tone;
    // State changes are in the name; the age is not, or a screen reader would never be silent.
    this.#nameButtons(name, `${name}, ${status.label.toLowerCase()}`);
    write(this.#name, name);
    write(this.#label, status.label);
    write(this.#rate, status.rate);
    write(this.#age, status.age === '' ? '' : status.stale ? `${status.age} old` : status.age);
    this.#age.classList.toggle('stale', status.stale);
    setIcon(this.#icon, status.icon);
    this.#badge.hidden = status.tone !== 'frozen';
    this.#veil.hidden = status.headline === '';
    if (status.headline !== '') {
      setIcon(this.#veilIcon, status.icon);
      write(this.#headline, status.headline);
      write(this.#reason, status.reason);
      if (this.#reason.title !== status.reason) this.#reason.title = status.reason;
    }
    this.#retry.hidden = !status.canRetry;
  }

  /** Which codec is shown, and whose choice that is: `auto` if the tile's own. */
  showCodec(label: string, whose: string, auto: boolean): void {
    const text = auto ? `${label} · auto` : label;
    write(this.#codec, text);
    // Whoever says what they read must be understood: the name begins with it.
    const title = `${text}, ${whose}. Press for another choice.`;
    if (this.#codec.title === title) return;
    this.#codec.title = title;
    this.#codec.setAttribute('aria-label', title);
  }

  /** For a tile out of sight: what it shows is nobody's concern, but it can be reached by its name. */
  rename(name: string): void {
    write(this.#name, name);
    this.#nameButtons(name, name);
  }

  #nameButtons(name: string, label: string): void {
    if (label === this.#buttonLabel) return;
    this.#buttonLabel = label;
    this.button.setAttribute('aria-label', label);
    this.#retry.setAttribute('aria-label', `Retry ${name}`);
  }
}

/** Writing what is there already would still cost a layout. */
function write(element: HTMLElement, text: string): void {
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
