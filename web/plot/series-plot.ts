// <series-plot>: series of samples, live, in any page. Attributes: hub, series (one name; the property `names` takes
// several); height is the page's. It asks for the next batch only after a complete redraw: a page that draws slowly
// gets larger batches, and loses nothing.
import uPlot from 'uplot';
import { browserWorld } from '../client/world.ts';
import type { Socket } from '../client/connection.ts';
import { gathered } from '../client/gathered.ts';
import { scaleOf, scalesAndAxes, strokeLine, type ChartStyle } from './chart.ts';
import { visible } from './draw-line.ts';
import { emptyWords } from './empty-words.ts';
import { save, toCsv } from './export.ts';
import { watchGestures } from './gestures.ts';
import { formatValue } from './format-value.ts';
import { Legend, type May } from './legend.ts';
import { lineColour, plotSheets } from './plot-styles.ts';
import { SeriesConnection, type SeriesLink } from './series-connection.ts';
import type { SeriesPart } from './series-message.ts';
import { SeriesSet, type PlotSeries } from './series-set.ts';
import { ToolBar } from './tool-bar.ts';
import { clockTime } from './clock-time.ts';
import { ViewWindow, yRange, type Range } from './window.ts';

/** So many series are shown until somebody chooses. */
const SHOWN_AT_FIRST = 20;
/** No more redraws than one in so many ms: nobody sees more. */
const FRAME = 33;
/** The legend's numbers need not change faster than one can read. */
const LEGEND_FRAME = 150;

export interface PlotReport {
  readonly link: SeriesLink;
  readonly redraws: number;
  /** How many samples each message brought, the history first. */
  readonly batches: readonly number[];
  readonly range: Range | undefined;
  readonly paused: boolean;
  readonly series: readonly { name: string; count: number; missed: number; shown: boolean; ys: number[] }[];
}

export class SeriesPlot extends HTMLElement {
  static readonly observedAttributes = ['hub', 'series'];

  readonly #set = new SeriesSet();
  readonly #window = new ViewWindow(10 * 60_000);
  readonly #host = document.createElement('div');
  readonly #empty = document.createElement('div');
  readonly #fault = document.createElement('p');
  readonly #tools: ToolBar;
  readonly #legend: Legend;
  readonly #resize = new ResizeObserver(() => this.#draw());
  readonly #scheme = matchMedia('(prefers-color-scheme: dark)');
  readonly #hidden = new Map<string, boolean>();

  #connection: SeriesConnection | undefined;
  #plot: uPlot | undefined;
  /** What the plot was made with. */
  #style: ChartStyle | undefined;
  #drawnSeries: PlotSeries[] = [];
  #link: SeriesLink = 'connecting';
  #names: readonly string[] | undefined;
  #may: May = { write: false, remove: false };
  #paused = false;
  #log = false;
  #ownScales = false;
  #xy = false;
  #dark = false;
  #due = false;
  #waitsForDraw = false;
  #askTimer: ReturnType<typeof setTimeout> | undefined;
  #drawnAt = 0;
  #legendAt = 0;
  #redraws = 0;
  #batches: number[] = [];
  #range: Range | undefined;
  #cursor: number | undefined;

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: 'open' });
    shadow.adoptedStyleSheets = plotSheets();
    this.#tools = new ToolBar({
      pause: (paused) => this.pause(paused),
      live: () => this.live(),
      zoom: (factor) => this.#move((shown) => this.#window.zoom(shown, factor)),
      pan: (part) => this.#move((shown) => this.#window.pan(shown, part)),
      span: (span) => {
        this.#window.span = span;
        this.live();
      },
      log: (log) => this.#option(() => (this.#log = log)),
      ownScales: (own) => this.#option(() => (this.#ownScales = own)),
      xy: (xy) =>
        this.#option(() => {
          this.#xy = xy;
          this.#window.follow();
        }),
      csv: () => this.exportCsv(),
      png: () => this.exportPng(),
    });
    this.#legend = new Legend({
      show: (id, shown) => this.show(this.#set.get(id)?.name ?? '', shown),
      rename: (id, name) => void this.#change(id, 'PATCH', { name }),
      remove: (id) => void this.#change(id, 'DELETE'),
    });
    this.#host.className = 'canvas';
    this.#empty.className = 'empty';
    this.#fault.className = 'fault';
    this.#fault.setAttribute('role', 'alert');
    this.#fault.hidden = true;
    const below = document.createElement('div');
    below.append(this.#legend.element, this.#fault);
    const frame = document.createElement('div');
    frame.className = 'frame';
    this.#host.append(this.#empty, this.#tools.statusElement);
    frame.append(this.#tools.element, this.#host, below);
    shadow.append(frame);
    this.#listen();
  }

  /** The series to show; all of the hub's if none are named. */
  get names(): readonly string[] | undefined {
    return this.#names;
  }

  set names(names: readonly string[] | undefined) {
    this.#names = names;
    this.#connectSoon();
  }

  /** What whoever looks may do with series. */
  set may(may: May) {
    this.#may = may;
    this.#list();
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** What it holds and did, for whoever wants to know exactly. */
  report(): PlotReport {
    const series = this.#set.all().map(({ name, samples, missed }) => ({
      name,
      missed,
      count: samples.length,
      shown: this.#isShown(name),
      ys: this.#drawnValues(name),
    }));
    const { link, redraws, batches, range, paused } = {
      link: this.#link,
      redraws: this.#redraws,
      batches: [...this.#batches],
      range: this.#range,
      paused: this.#paused,
    };
    return { link, redraws, batches, range, paused, series };
  }

  show(name: string, shown: boolean): void {
    this.#hidden.set(name, !shown);
    this.#option(() => undefined);
  }

  /** Stands still, and asks for nothing, until it goes on; what came meanwhile then comes at once. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.#tools.update({ paused, following: this.#window.following });
    if (!paused) this.#draw();
  }

  /** Back to the newest. */
  live(): void {
    this.#window.follow();
    if (this.#paused) this.pause(false);
    this.#draw();
  }

  exportCsv(): void {
    if (this.#range) save('series.csv', new Blob([this.csv()], { type: 'text/csv' }));
  }

  csv(): string {
    return toCsv(this.#drawnSeries, this.#range ?? { min: -Infinity, max: Infinity });
  }

  exportPng(): void {
    const drawn = this.#plot?.ctx.canvas;
    if (!drawn) return;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [drawn.width, drawn.height];
    const context = canvas.getContext('2d');
    if (!context) return;
    context.fillStyle = getComputedStyle(this).backgroundColor;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(drawn, 0, 0);
    canvas.toBlob((picture) => {
      if (picture) save('series.png', picture);
    });
  }

  connectedCallback(): void {
    this.#resize.observe(this.#host);
    this.#scheme.addEventListener('change', this.#themed);
    this.#connectSoon();
  }

  disconnectedCallback(): void {
    this.#resize.disconnect();
    this.#scheme.removeEventListener('change', this.#themed);
    this.#connection?.close();
    this.#connection = undefined;
    clearTimeout(this.#askTimer);
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  attributeChangedCallback(): void {
    this.#connectSoon();
  }

  readonly #themed = (): void => this.#option(() => undefined);

  #url(path: string): URL {
    const hub = this.getAttribute('hub') ?? location.origin;
    return new URL(path, hub.endsWith('/') ? hub : `${hub}/`);
  }

  /** The series that are asked for by name. */
  #asked(): readonly string[] {
    const named = this.getAttribute('series');
    return this.#names ?? (named === null ? [] : [named]);
  }

  /** Attributes and names arrive one by one: a socket for each would be dropped before it is open. */
  readonly #connectSoon = gathered(() => this.#connect());

  #connect(): void {
    if (!this.isConnected) return;
    this.#connection?.close();
    const url = this.#url('ws/series');
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    for (const name of this.#asked()) url.searchParams.append('series', name);
    const openSocket = (address: string): Socket => new WebSocket(address) as unknown as Socket;
    const world = { ...browserWorld, openSocket };
    this.#connection = new SeriesConnection(url.href, world, {
      message: (parts, anew) => this.#message(parts, anew),
      link: (link) => {
        this.#link = link;
        this.#say();
      },
    });
  }

  #message(parts: SeriesPart[], anew: boolean): void {
    this.#batches.push(parts.reduce((sum, part) => sum + part.points.length, 0));
    if (this.#batches.length > 10_000) this.#batches.splice(0, 5_000);
    const changed = this.#set.take(parts, anew);
    if (changed) this.#rebuild();
    this.#waitsForDraw = true;
    this.#draw();
  }

  /** Draws with the next frame. Only what has been drawn to the end is asked beyond. */
  #draw(): void {
    if (this.#due || this.#paused) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      if (this.#paused || !this.isConnected) return;
      if (this.#drawnSeries.length === 0) this.#drawn();
      else this.#redraw();
    });
  }

  #drawn(): void {
    this.#redraws++;
    const now = performance.now();
    if (now - this.#legendAt > LEGEND_FRAME || this.#redraws < 3) {
      this.#legendAt = now;
      this.#legend.update(this.#cursor);
      this.#say();
    }
    if (this.#waitsForDraw) {
      this.#waitsForDraw = false;
      const wait = Math.max(0, FRAME - (now - this.#drawnAt));
      this.#askTimer = setTimeout(() => {
        if (this.#paused) this.#waitsForDraw = true;
        else this.#connection?.ask();
      }, wait);
    }
    this.#drawnAt = now;
  }

  #isShown(name: string): boolean {
    return !(this.#hidden.get(name) ?? false);
  }

  #option(change: () => void): void {
    change();
    this.#rebuild();
    this.#draw();
  }

  #move(how: (shown: Range) => void): void {
    if (!this.#range) return;
    how(this.#range);
    this.#redraw();
  }

  /** Chooses what is drawn, and makes the chart anew for it. */
  #rebuild(): void {
    const all = this.#set.all();
    const anyTimed = all.some(({ timed }) => timed);
    const anyXy = all.some(({ timed }) => !timed);
    if (!anyTimed && anyXy) this.#xy = true;
    if (!anyXy) this.#xy = false;
    const fitting = all.filter(({ timed }) => timed !== this.#xy);
    for (const { name } of fitting.slice(SHOWN_AT_FIRST))
      if (!this.#hidden.has(name)) this.#hidden.set(name, true);
    this.#drawnSeries = fitting.filter(({ name }) => this.#isShown(name));
    this.#dark = isDark(this);
    this.#tools.update({
      paused: this.#paused,
      following: this.#window.following,
      xy: this.#xy,
      both: anyTimed && anyXy,
      log: this.#log,
      ownScales: this.#ownScales,
    });
    this.#list();
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#empty.hidden = this.#drawnSeries.length > 0;
    if (this.#drawnSeries.length > 0) this.#plot = this.#chart();
    this.#say();
  }

  #list(): void {
    const fitting = this.#set.all().filter(({ timed }) => timed !== this.#xy);
    const rows = fitting.map((series) => ({
      series,
      colour: this.#colour(series),
      shown: this.#isShown(series.name),
    }));
    this.#legend.list(rows, this.#may);
    this.#legend.update(this.#cursor);
  }

  #colour(series: PlotSeries): string {
    return lineColour(series.slot, this.#dark);
  }

  #chart(): uPlot {
    const style: ChartStyle = {
      ink: getComputedStyle(this).color,
      dark: this.#dark,
      log: this.#log,
      ownScales: this.#ownScales,
      xy: this.#xy,
    };
    this.#style = style;
    const { scales, axes } = scalesAndAxes(this.#drawnSeries, style, this.#size().width);
    const lines = this.#drawnSeries.map((series) => ({
      label: series.name,
      auto: false,
      facets: [
        { scale: 'x', auto: false },
        { scale: scaleOf(series, style), auto: false },
      ],
      paths: (plot: uPlot) => {
        strokeLine(plot, series, style, this.#range);
        return null;
      },
    }));
    const options = {
      mode: 2,
      ms: 1,
      ...this.#size(),
      pxAlign: 0,
      legend: { show: false },
      scales,
      axes,
      series: [{}, ...lines],
      cursor: {
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: 5 },
        dataIdx: () => null,
      },
      hooks: {
        draw: [() => this.#drawn()],
        setCursor: [(plot: uPlot) => this.#hover(plot)],
        setSelect: [(plot: uPlot) => this.#select(plot)],
      },
    };
    return new uPlot(options as unknown as uPlot.Options, this.#columns(), this.#host);
  }

  #columns(): uPlot.AlignedData {
    const columns = this.#drawnSeries.map(({ samples }) => {
      const { xs, ys } = samples.columns();
      return [xs, ys];
    });
    return [null, ...columns] as unknown as uPlot.AlignedData;
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(80, this.#host.clientWidth), height: Math.max(80, this.#host.clientHeight) };
  }

  #redraw(): void {
    const [plot, style] = [this.#plot, this.#style];
    if (!plot || !style) return;
    const { width, height } = this.#size();
    if (plot.width !== width || plot.height !== height) plot.setSize({ width, height });
    const [min, max] = this.#extent();
    const range = this.#window.range(min, max, this.#xy);
    this.#range = range;
    const scales = new Map<string, [number, number]>();
    for (const series of this.#drawnSeries) {
      const { samples, timed } = series;
      const [from, to] = timed ? visible(samples, range.min, range.max) : [0, samples.length];
      const scale = scaleOf(series, style);
      let [low, high] = scales.get(scale) ?? [Infinity, -Infinity];
      const { ys } = samples.columns();
      for (let index = from; index < to; index++) {
        const y = ys[index] ?? NaN;
        if (this.#log && y <= 0) continue;
        if (y < low) low = y;
        if (y > high) high = y;
      }
      scales.set(scale, [low, high]);
    }
    plot.batch(() => {
      plot.setData(this.#columns(), false);
      plot.setScale('x', range);
      for (const [scale, [low, high]] of scales) {
        const [bottom, top] = yRange(low, high, this.#log);
        plot.setScale(scale, { min: bottom, max: top });
      }
    });
    this.#tools.update({ paused: this.#paused, following: this.#window.following });
  }

  #extent(): [number, number] {
    let [min, max] = [Infinity, -Infinity];
    for (const { samples, timed } of this.#drawnSeries) {
      if (samples.length === 0) continue;
      if (timed) {
        min = Math.min(min, samples.x(0));
        max = Math.max(max, samples.x(samples.length - 1));
        continue;
      }
      for (const x of samples.columns().xs) {
        if (x < min) min = x;
        if (x > max) max = x;
      }
    }
    if (min > max) return this.#xy ? [0, 1] : [Date.now() - 60_000, Date.now()];
    const room = this.#xy ? (max - min) * 0.04 : 0;
    return [min - room, max + room];
  }

  #drawnValues(name: string): number[] {
    const index = this.#drawnSeries.findIndex((series) => series.name === name);
    if (index < 0 || !this.#plot) return [];
    const columns = this.#plot.data[index + 1] as unknown as [Float64Array, Float64Array] | undefined;
    return columns ? [...columns[1]] : [];
  }

  #hover(plot: uPlot): void {
    const left = plot.cursor.left ?? -1;
    const x = left >= 0 ? plot.posToVal(left, 'x') : undefined;
    if (x === this.#cursor) return;
    this.#cursor = x;
    this.#legend.update(x);
    this.#say();
    const values = this.#drawnSeries.flatMap(({ name, unit, samples }) => {
      const index = x === undefined ? undefined : samples.nearest(x);
      return index === undefined ? [] : [{ name, unit, x: samples.x(index), y: samples.y(index) }];
    });
    const detail = { x: this.#xy ? undefined : x, values };
    this.dispatchEvent(new CustomEvent('plot-cursor', { detail, bubbles: true, composed: true }));
  }

  #select(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 5) return;
    this.#window.choose({ min: plot.posToVal(left, 'x'), max: plot.posToVal(left + width, 'x') });
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#redraw();
  }

  #listen(): void {
    watchGestures(this.#host, {
      zoom: (factor, clientX) => {
        const plot = this.#plot;
        if (!plot) return;
        const around = plot.posToVal(clientX - plot.over.getBoundingClientRect().left, 'x');
        this.#move((shown) => this.#window.zoom(shown, factor, around));
      },
      pan: (pixels) => {
        const part = pixels / Math.max(1, this.#plot?.over.clientWidth ?? 1);
        this.#move((shown) => this.#window.pan(shown, part));
      },
      back: () => this.live(),
    });
  }

  async #change(id: number, method: 'PATCH' | 'DELETE', body?: unknown): Promise<void> {
    try {
      const answer = await fetch(this.#url(`api/v1/series/${id}`), {
        method,
        credentials: 'same-origin',
        ...(body === undefined
          ? {}
          : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
      });
      const said = answer.ok ? '' : ((await answer.json()) as { message?: string }).message;
      this.#fault.textContent = said ?? `The hub answered ${answer.status}.`;
    } catch {
      this.#fault.textContent = 'The hub can’t be reached.';
    }
    this.#fault.hidden = this.#fault.textContent === '';
  }

  #say(): void {
    const words: Record<SeriesLink, string> = {
      connecting: 'Connecting…',
      open: '',
      reconnecting: 'The hub can’t be reached; trying again…',
      refused: 'Series are for whoever is signed in here.',
    };
    let status = words[this.#link];
    if (this.#cursor !== undefined && status === '')
      status = this.#xy ? formatValue(this.#cursor, undefined) : clockTime(this.#cursor);
    else if (status === '' && this.#paused) status = 'Paused';
    this.#tools.status(status, this.#link === 'reconnecting' || this.#link === 'refused');
    const none = this.#set.all().length === 0;
    this.#empty.textContent = none ? words[this.#link] : 'No series is chosen.';
    if (none && this.#link === 'open') {
      const { text, example } = emptyWords(this.#asked(), this.#url('').hostname);
      const line = document.createElement('code');
      line.textContent = example;
      this.#empty.replaceChildren(text, line);
    }
  }
}

/** Whether the element's ground is dark, as its color-scheme makes it. */
function isDark(element: Element): boolean {
  const channels = getComputedStyle(element)
    .color.match(/[\d.]+/g)
    ?.slice(0, 3)
    .map(Number) ?? [0];
  return channels.reduce((sum, channel) => sum + channel, 0) / channels.length > 128;
}
