// The toolbar of a plot.

export interface ToolActions {
  pause(paused: boolean): void;
  live(): void;
  zoom(factor: number): void;
  pan(fraction: number): void;
  span(milliseconds: number | undefined): void;
  log(log: boolean): void;
  ownScales(own: boolean): void;
  xy(xy: boolean): void;
  csv(): void;
  png(): void;
}

export interface ToolState {
  readonly paused: boolean;
  readonly following: boolean;
  readonly xy?: boolean;
  /** Whether there are both time series and X-Y series, so that the user can choose. */
  readonly both?: boolean;
  readonly log?: boolean;
  readonly ownScales?: boolean;
}

const MINUTE = 60_000;
const SPANS: readonly (readonly [string, number | undefined])[] = [
  ['1 min', MINUTE],
  ['10 min', 10 * MINUTE],
  ['1 h', 60 * MINUTE],
  ['1 day', 24 * 60 * MINUTE],
  ['All', undefined],
];

export class Toolbar {
  readonly element = document.createElement('div');
  /** The status text. It overlays the plot, so that it does not affect the layout. */
  readonly statusElement = document.createElement('span');
  readonly #pause: HTMLButtonElement;
  readonly #live: HTMLButtonElement;
  readonly #log: HTMLButtonElement;
  readonly #ownScales: HTMLButtonElement;
  readonly #xy: HTMLButtonElement;
  readonly #spans = document.createElement('select');

  constructor(actions: ToolActions) {
    this.element.className = 'tools';
    this.element.setAttribute('role', 'toolbar');
    this.element.setAttribute('aria-label', 'Plot');
    this.#pause = button('Pause', 'Pause the plot', () => actions.pause(!pressed(this.#pause)));
    this.#live = button('Live', 'Show the newest samples', () => actions.live());
    this.#log = button('Log scale', 'Use a logarithmic scale', () => actions.log(!pressed(this.#log)));
    this.#ownScales = button('Separate scales', 'Use a separate scale for each series', () =>
      actions.ownScales(!pressed(this.#ownScales)),
    );
    this.#xy = button('X-Y', 'Show series whose x is not a time', () => actions.xy(!pressed(this.#xy)));
    this.#spans.setAttribute('aria-label', 'Time range');
    for (const [text, span] of SPANS) this.#spans.add(new Option(text, String(span ?? 'all')));
    this.#spans.value = String(10 * MINUTE);
    this.#spans.addEventListener('change', () => {
      const { value } = this.#spans;
      actions.span(value === 'all' ? undefined : Number(value));
    });
    this.statusElement.className = 'status';
    this.statusElement.setAttribute('role', 'status');
    this.#xy.hidden = true;
    this.element.append(
      this.#pause,
      this.#live,
      this.#spans,
      button('−', 'Zoom out', () => actions.zoom(2)),
      button('+', 'Zoom in', () => actions.zoom(0.5)),
      button('◀', 'Earlier', () => actions.pan(-0.25)),
      button('▶', 'Later', () => actions.pan(0.25)),
      this.#log,
      this.#ownScales,
      this.#xy,
      button('Save CSV', 'Save the shown samples as CSV', () => actions.csv()),
      button('Save PNG', 'Save the plot as PNG', () => actions.png()),
    );
  }

  update(state: ToolState): void {
    setPressed(this.#pause, state.paused);
    this.#pause.textContent = state.paused ? 'Resume' : 'Pause';
    setPressed(this.#live, state.following && !state.paused);
    if (state.log !== undefined) setPressed(this.#log, state.log);
    if (state.ownScales !== undefined) setPressed(this.#ownScales, state.ownScales);
    if (state.xy !== undefined) setPressed(this.#xy, state.xy);
    if (state.both !== undefined) this.#xy.hidden = !state.both;
    this.#spans.disabled = state.xy ?? this.#spans.disabled;
  }

  status(text: string, isError: boolean): void {
    if (this.statusElement.textContent !== text) this.statusElement.textContent = text;
    this.statusElement.classList.toggle('bad', isError);
  }
}

const pressed = (element: HTMLButtonElement): boolean => element.getAttribute('aria-pressed') === 'true';

function setPressed(element: HTMLButtonElement, on: boolean): void {
  if (pressed(element) !== on) element.setAttribute('aria-pressed', String(on));
}

function button(text: string, label: string, onClick: () => void): HTMLButtonElement {
  const element = document.createElement('button');
  element.type = 'button';
  element.textContent = text;
  element.title = label;
  element.addEventListener('click', onClick);
  return element;
}
