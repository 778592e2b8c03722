// The legend below a plot: each series with its colour, its newest value or the one under the cursor, and its actions.
import { strokeOf } from './colours.ts';
import { sampleNear } from './cursor-sample.ts';
import { formatValue } from './format-value.ts';
import { MARKS, type Mark } from './legend-marks.ts';
import type { PlotSeries } from './series-set.ts';

export interface LegendRow {
  readonly series: PlotSeries;
  readonly colour: string;
  readonly shown: boolean;
}

export interface LegendActions {
  show(id: number, shown: boolean): void;
  rename(id: number, name: string): void;
  remove(id: number): void;
}

export interface SeriesPermissions {
  readonly write: boolean;
  readonly remove: boolean;
}

interface Row {
  readonly element: HTMLElement;
  readonly value: HTMLElement;
  readonly marks: readonly (readonly [Mark, HTMLElement])[];
  readonly series: PlotSeries;
}

export class Legend {
  readonly element = document.createElement('ul');
  readonly #actions: LegendActions;
  #rows: Row[] = [];
  /** The series whose row is being edited; the list is not updated during editing. */
  #editing: number | undefined;
  #deferred: { rows: readonly LegendRow[]; permissions: SeriesPermissions } | undefined;

  constructor(actions: LegendActions) {
    this.#actions = actions;
    this.element.className = 'legend';
    this.element.setAttribute('aria-label', 'Series');
  }

  setRows(rows: readonly LegendRow[], permissions: SeriesPermissions): void {
    if (this.#editing !== undefined) {
      this.#deferred = { rows, permissions };
      return;
    }
    this.#rows = [];
    this.element.replaceChildren(...rows.map((row) => this.#row(row, permissions)));
  }

  /** Shows the value of each series within `tolerance` of this x, or the newest one. */
  update(at: number | undefined, tolerance: number): void {
    const now = Date.now();
    for (const { element, value, marks, series } of this.#rows) {
      const { samples, unit, activity } = series;
      const index = at === undefined ? undefined : sampleNear(samples, at, tolerance);
      const newest = at === undefined ? activity.newest?.[1] : undefined;
      const shown = index === undefined ? newest : samples.y(index);
      const text = shown === undefined ? '–' : formatValue(shown, unit);
      if (value.textContent !== text) value.textContent = text;
      element.classList.toggle('quiet', series.stoppedSince !== undefined);
      for (const [mark, shownMark] of marks) {
        const remark = mark.text(series, now);
        if (shownMark.textContent !== remark) shownMark.textContent = remark;
        shownMark.hidden = remark === '';
      }
    }
  }

  #row({ series, colour, shown }: LegendRow, permissions: SeriesPermissions): HTMLElement {
    const row = document.createElement('li');
    row.classList.toggle('off', !shown);
    row.dataset['series'] = series.name;
    const label = document.createElement('label');
    const checkbox = document.createElement('input');
    checkbox.type = 'checkbox';
    checkbox.checked = shown;
    checkbox.addEventListener('change', () => this.#actions.show(series.id, checkbox.checked));
    const swatch = span('swatch');
    swatch.style.background = shown ? colour : 'transparent';
    swatch.classList.add(strokeOf(series.slot));
    const name = span('name', series.name);
    name.title = series.name;
    label.append(checkbox, swatch, name);
    const value = span('value');
    const marks = MARKS.map((mark) => {
      const element = span(mark.kind);
      element.title = mark.title;
      element.hidden = true;
      return [mark, element] as const;
    });
    row.append(label, value, ...marks.map(([, element]) => element));
    if (permissions.write) row.append(button('✎', `Rename ${series.name}`, () => this.#rename(row, series)));
    if (permissions.remove)
      row.append(button('✕', `Delete ${series.name}`, () => this.#confirm(row, series)));
    this.#rows.push({ element: row, value, marks, series });
    return row;
  }

  #rename(row: HTMLElement, series: PlotSeries): void {
    const input = document.createElement('input');
    input.type = 'text';
    input.value = series.name;
    input.maxLength = 255;
    input.setAttribute('aria-label', `New name for ${series.name}`);
    const finish = (save: boolean): void => {
      const name = input.value;
      this.#endEditing();
      if (save && name !== '' && name !== series.name) this.#actions.rename(series.id, name);
    };
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') finish(true);
      else if (event.key === 'Escape') finish(false);
      else return;
      event.preventDefault();
    });
    this.#edit(row, series, [
      input,
      button('Save', 'Save the name', () => finish(true)),
      button('Cancel', 'Cancel', () => finish(false)),
    ]);
    input.select();
  }

  #confirm(row: HTMLElement, series: PlotSeries): void {
    const remove = button('Delete', `Delete ${series.name} with its samples`, () => {
      this.#endEditing();
      this.#actions.remove(series.id);
    });
    const cancel = button('Cancel', `Do not delete ${series.name}`, () => this.#endEditing());
    this.#edit(row, series, [
      span('name question', `Delete ${series.name} with all its samples?`),
      remove,
      cancel,
    ]);
    cancel.focus();
  }

  #edit(row: HTMLElement, series: PlotSeries, parts: HTMLElement[]): void {
    this.#before ??= [...row.childNodes];
    this.#editedRow = row;
    this.#editing = series.id;
    row.replaceChildren(...parts);
  }

  #before: ChildNode[] | undefined;
  #editedRow: HTMLElement | undefined;

  #endEditing(): void {
    if (this.#before) this.#editedRow?.replaceChildren(...this.#before);
    this.#before = this.#editedRow = this.#editing = undefined;
    const deferred = this.#deferred;
    this.#deferred = undefined;
    if (deferred) this.setRows(deferred.rows, deferred.permissions);
  }
}

function span(kind: string, text = ''): HTMLElement {
  const element = document.createElement('span');
  element.className = kind;
  element.textContent = text;
  return element;
}

function button(text: string, label: string, press: () => void): HTMLButtonElement {
  const element = document.createElement('button');
  element.type = 'button';
  element.textContent = text;
  element.setAttribute('aria-label', label);
  element.title = label;
  element.addEventListener('click', press);
  return element;
}
