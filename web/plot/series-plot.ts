// <series-plot>: a live plot of series in any page. Attributes: hub, token, series (one name; the property `names`
// takes several). The page sets the height. It composes feed, chart, toolbar and legend. The next batch is
// requested only after a complete redraw, so a page that draws slowly gets larger batches and loses no samples.
import { HUB_ATTRIBUTES, hubOf } from '../client/hub-attributes.ts';
import { ChartView } from './chart-view.ts';
import { clockTime } from './clock-time.ts';
import { assignSlots, lineColour } from './colours.ts';
import { sampleNear } from './cursor-sample.ts';
import { emptyText } from './empty-text.ts';
import { saveFile, toCsv } from './export.ts';
import { changeSeries, Feed } from './feed.ts';
import { formatValue } from './format-value.ts';
import { Legend, type SeriesPermissions } from './legend.ts';
import { plotSheets } from './plot-styles.ts';
import type { SeriesLink } from './series-connection.ts';
import type { SeriesPart } from './series-message.ts';
import { SeriesSet, type PlotSeries } from './series-set.ts';
import { Toolbar } from './toolbar.ts';
import type { Range } from './window.ts';
import { xUnit, xUnitText, type XUnit } from './x-unit.ts';

/** The number of series that are shown by default. */
const SHOWN_BY_DEFAULT = 20;
/** The minimum time between updates of the legend in ms, so that the numbers are readable. */
const LEGEND_INTERVAL = 150;

/** The time between checks for series that have stopped, in ms. */
const CHECK_INTERVAL = 1000;
/** The legend shows the value of a sample within this many CSS pixels of the cursor. */
const CURSOR_TOLERANCE = 8;

/** A clock of the page that is not adjusted while the page is open. */
const pageTime = (): number => performance.timeOrigin + performance.now();

const LINK_TEXT: Record<SeriesLink, string> = {
  connecting: 'Connecting…',
  open: '',
  reconnecting: 'The hub cannot be reached. Reconnecting…',
  refused: 'You have no access to these series. Sign in to the hub to see them.',
};

export interface PlotReport {
  readonly link: SeriesLink;
  readonly redraws: number;
  /** The number of samples in each message, starting with the history. */
  readonly batches: readonly number[];
  readonly range: Range | undefined;
  readonly paused: boolean;
  readonly series: readonly { name: string; count: number; missed: number; shown: boolean; ys: number[] }[];
}

export class SeriesPlot extends HTMLElement {
  static readonly observedAttributes = [...HUB_ATTRIBUTES, 'series'];

  readonly #set = new SeriesSet();
  readonly #feed = new Feed({
    target: () => (this.isConnected ? { hub: hubOf(this), names: this.#seriesNames() } : undefined),
    message: (parts, isHistory) => this.#message(parts, isHistory),
    linkChanged: () => this.#updateStatus(),
  });
  readonly #chart: ChartView;
  readonly #empty = document.createElement('div');
  /** Explains series that are not on the time axis by mistake. */
  readonly #note = document.createElement('p');
  readonly #fault = document.createElement('p');
  readonly #tools: Toolbar;
  readonly #legend: Legend;
  readonly #scheme = matchMedia('(prefers-color-scheme: dark)');
  readonly #hidden = new Map<string, boolean>();

  #names: readonly string[] | undefined;
  #permissions: SeriesPermissions = { write: false, remove: false };
  #paused = false;
  #log = false;
  #ownScales = false;
  #xy = false;
  #dark = false;
  /** Whether the chart still shows series that were replaced. */
  #stale = false;
  #drawScheduled = false;
  #legendUpdatedAt = 0;
  #redraws = 0;
  #checks: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: 'open' });
    shadow.adoptedStyleSheets = plotSheets();
    const chart = new ChartView(
      {
        drawn: () => this.#drawn(),
        shown: () => this.#tools.update({ paused: this.#paused, following: chart.window.following }),
        cursorAt: (x) => this.#cursorAt(x),
        showNewest: () => this.live(),
        receivedAt: () => this.#set.receivedAt,
      },
      () => this.#scheduleDraw(),
    );
    this.#chart = chart;
    this.#tools = new Toolbar({
      pause: (paused) => this.pause(paused),
      live: () => this.live(),
      zoom: (factor) => chart.move((shown) => chart.window.zoom(shown, factor)),
      pan: (fraction) => chart.move((shown) => chart.window.pan(shown, fraction)),
      span: (span) => {
        chart.window.span = span;
        this.live();
      },
      log: (log) => this.#changeOption(() => (this.#log = log)),
      ownScales: (own) => this.#changeOption(() => (this.#ownScales = own)),
      xy: (xy) =>
        this.#changeOption(() => {
          this.#xy = xy;
          chart.window.follow();
        }),
      csv: () => this.exportCsv(),
      png: () => this.exportPng(),
    });
    this.#legend = new Legend({
      show: (id, shown) => this.show(this.#set.get(id)?.name ?? '', shown),
      rename: (id, name) => void this.#change(id, 'PATCH', { name }),
      remove: (id) => void this.#change(id, 'DELETE'),
    });
    this.#empty.className = 'empty';
    this.#note.className = 'note';
    this.#note.hidden = true;
    this.#fault.className = 'fault';
    this.#fault.setAttribute('role', 'alert');
    this.#fault.hidden = true;
    const footer = document.createElement('div');
    footer.append(this.#legend.element, this.#note, this.#fault);
    const frame = document.createElement('div');
    frame.className = 'frame';
    chart.element.append(this.#empty, this.#tools.statusElement);
    frame.append(this.#tools.element, chart.element, footer);
    shadow.append(frame);
  }

  /** The names of the series to show; all series if undefined. */
  get names(): readonly string[] | undefined {
    return this.#names;
  }

  set names(names: readonly string[] | undefined) {
    this.#names = names;
    this.#feed.scheduleConnect();
  }

  /** The user's permissions for series. */
  set permissions(permissions: SeriesPermissions) {
    this.#permissions = permissions;
    this.#list();
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Returns the state of the plot, for pages and tests. */
  report(): PlotReport {
    const series = this.#set.all().map(({ name, samples, missed }) => ({
      name,
      missed,
      count: samples.length,
      shown: this.#isShown(name),
      ys: this.#chart.drawnValues(name),
    }));
    return {
      link: this.#feed.link,
      redraws: this.#redraws,
      batches: [...this.#feed.batches],
      range: this.#chart.range,
      paused: this.#paused,
      series,
    };
  }

  show(name: string, shown: boolean): void {
    this.#hidden.set(name, !shown);
    this.#changeOption(() => undefined);
  }

  /** Pauses or resumes. A paused plot makes no requests; after resuming it receives all missed samples at once. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.#feed.paused = paused;
    this.#tools.update({ paused, following: this.#chart.window.following });
    if (paused) return;
    if (this.#stale) this.#rebuild();
    this.#scheduleDraw();
  }

  /** Returns to the newest samples. */
  live(): void {
    this.#chart.window.follow();
    if (this.#paused) this.pause(false);
    this.#scheduleDraw();
  }

  exportCsv(): void {
    if (this.#chart.range) saveFile('series.csv', new Blob([this.csv()], { type: 'text/csv' }));
  }

  csv(): string {
    return toCsv(this.#chart.series, this.#chart.range ?? { min: -Infinity, max: Infinity });
  }

  exportPng(): void {
    const drawn = this.#chart.canvas;
    if (!drawn) return;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [drawn.width, drawn.height];
    const context = canvas.getContext('2d');
    if (!context) return;
    context.fillStyle = getComputedStyle(this).backgroundColor;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(drawn, 0, 0);
    canvas.toBlob((picture) => {
      if (picture) saveFile('series.png', picture);
    });
  }

  connectedCallback(): void {
    this.#chart.watchSize();
    this.#checks = setInterval(() => this.#check(), CHECK_INTERVAL);
    this.#scheme.addEventListener('change', this.#onThemeChange);
    this.#feed.scheduleConnect();
  }

  disconnectedCallback(): void {
    this.#scheme.removeEventListener('change', this.#onThemeChange);
    clearInterval(this.#checks);
    this.#feed.close();
    this.#chart.destroy();
  }

  attributeChangedCallback(): void {
    this.#feed.scheduleConnect();
  }

  readonly #onThemeChange = (): void => this.#changeOption(() => undefined);

  /** The names of the series to show; empty for all. */
  #seriesNames(): readonly string[] {
    const attribute = this.getAttribute('series');
    return this.#names ?? (attribute === null ? [] : [attribute]);
  }

  #message(parts: SeriesPart[], isHistory: boolean): void {
    const now = pageTime();
    if (this.#set.apply(parts, isHistory, now)) this.#stale = true;
    this.#set.updateStopped(now);
    // A paused plot keeps its chart until it resumes.
    if (this.#stale && !this.#paused) this.#rebuild();
    this.#scheduleDraw();
  }

  /** Marks series that have stopped. Without a connection or while paused, that is not known. */
  #check(): void {
    if (this.#paused || this.#feed.link !== 'open') return;
    this.#set.updateStopped(pageTime());
    this.#updateLegend();
  }

  #updateLegend(): void {
    this.#legend.update(this.#chart.cursor, this.#chart.widthOf(CURSOR_TOLERANCE));
  }

  /** Draws in the next animation frame. */
  #scheduleDraw(): void {
    if (this.#drawScheduled || this.#paused) return;
    this.#drawScheduled = true;
    requestAnimationFrame(() => {
      this.#drawScheduled = false;
      if (this.#paused || !this.isConnected) return;
      if (this.#chart.series.length === 0) this.#drawn();
      else this.#chart.redraw();
    });
  }

  #drawn(): void {
    this.#redraws++;
    const now = performance.now();
    if (now - this.#legendUpdatedAt > LEGEND_INTERVAL || this.#redraws < 3) {
      this.#legendUpdatedAt = now;
      this.#updateLegend();
      this.#updateNote();
      this.#updateStatus();
    }
    this.#feed.drawn(now);
  }

  #isShown(name: string): boolean {
    return !(this.#hidden.get(name) ?? false);
  }

  #changeOption(change: () => void): void {
    change();
    this.#rebuild();
    this.#scheduleDraw();
  }

  /** Selects the series to draw and recreates the chart. */
  #rebuild(): void {
    this.#stale = false;
    const all = this.#set.all();
    const anyTimed = all.some(({ timed }) => timed);
    const anyXy = all.some(({ timed }) => !timed);
    if (!anyTimed && anyXy) this.#xy = true;
    if (!anyXy) this.#xy = false;
    const matching = all.filter(({ timed }) => timed !== this.#xy);
    for (const { name } of matching.slice(SHOWN_BY_DEFAULT))
      if (!this.#hidden.has(name)) this.#hidden.set(name, true);
    const drawn = matching.filter(({ name }) => this.#isShown(name));
    assignSlots(drawn, this.#chart.series);
    this.#dark = isDark(this);
    this.#tools.update({
      paused: this.#paused,
      following: this.#chart.window.following,
      xy: this.#xy,
      both: anyTimed && anyXy,
      log: this.#log,
      ownScales: this.#ownScales,
    });
    this.#list();
    this.#empty.hidden = drawn.length > 0;
    this.#chart.rebuild(drawn, {
      ink: getComputedStyle(this).color,
      dark: this.#dark,
      log: this.#log,
      ownScales: this.#ownScales,
      xy: this.#xy,
    });
    this.#updateStatus();
  }

  #list(): void {
    const matching = this.#set.all().filter(({ timed }) => timed !== this.#xy);
    const rows = matching.map((series) => ({
      series,
      colour: this.#colour(series),
      shown: this.#isShown(series.name),
    }));
    this.#legend.setRows(rows, this.#permissions);
    this.#updateLegend();
  }

  /** Explains which X-Y series have x values that are times. */
  #updateNote(): void {
    const found = new Map<XUnit, string[]>();
    for (const { name, samples, timed } of this.#set.all()) {
      const unit = timed || samples.length === 0 ? undefined : xUnit(samples.x(samples.length - 1));
      if (unit !== undefined) found.set(unit, [...(found.get(unit) ?? []), name]);
    }
    const text = [...found].map(([unit, names]) => xUnitText(unit, names)).join(' ');
    if (this.#note.textContent !== text) this.#note.textContent = text;
    this.#note.hidden = text === '';
  }

  #colour(series: PlotSeries): string {
    return lineColour(series.slot, this.#dark);
  }

  #cursorAt(x: number | undefined): void {
    this.#updateLegend();
    this.#updateStatus();
    const values = this.#chart.series.flatMap(({ name, unit, samples }) => {
      const index =
        x === undefined ? undefined : sampleNear(samples, x, this.#chart.widthOf(CURSOR_TOLERANCE));
      return index === undefined ? [] : [{ name, unit, x: samples.x(index), y: samples.y(index) }];
    });
    const detail = { x: this.#xy ? undefined : x, values };
    this.dispatchEvent(new CustomEvent('plot-cursor', { detail, bubbles: true, composed: true }));
  }

  async #change(id: number, method: 'PATCH' | 'DELETE', body?: unknown): Promise<void> {
    this.#fault.textContent = await changeSeries(hubOf(this), id, method, body);
    this.#fault.hidden = this.#fault.textContent === '';
  }

  #updateStatus(): void {
    const { link } = this.#feed;
    const { cursor } = this.#chart;
    const noSeries = this.#set.all().length === 0;
    // An empty plot shows the text in its middle.
    let status = noSeries ? '' : LINK_TEXT[link];
    if (cursor !== undefined && status === '')
      status = this.#xy ? formatValue(cursor, undefined) : clockTime(cursor);
    else if (status === '' && this.#paused) status = 'Paused';
    this.#tools.status(status, link === 'reconnecting' || link === 'refused');
    this.#empty.textContent = noSeries
      ? LINK_TEXT[link]
      : 'No series is selected. Select one in the list below.';
    if (noSeries && link === 'open') {
      const { text, example } = emptyText(this.#seriesNames(), hubOf(this).host);
      const line = document.createElement('code');
      line.textContent = example;
      this.#empty.replaceChildren(text, line);
    }
  }
}

/** Whether the element's color-scheme is dark, determined from its text colour. */
function isDark(element: Element): boolean {
  const channels = getComputedStyle(element)
    .color.match(/[\d.]+/g)
    ?.slice(0, 3)
    .map(Number) ?? [0];
  return channels.reduce((sum, channel) => sum + channel, 0) / channels.length > 128;
}
