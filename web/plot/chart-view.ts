// The chart of a plot: creates the uPlot instance for the shown series, redraws it with the selected x range, and
// reports the cursor. It does not access the hub.
import uPlot from 'uplot';
import { scaleOf, scalesAndAxes, strokeLine, UNIT, type ChartStyle } from './chart.ts';
import { visible } from './draw-line.ts';
import { watchGestures } from './gestures.ts';
import { liveEdge } from './live-edge.ts';
import type { PlotSeries } from './series-set.ts';
import { MAX_TIME, ViewWindow, yRange, type Range } from './window.ts';

export interface ChartViewListener {
  /** A redraw is complete. */
  drawn(): void;
  /** The shown x range was set. */
  shown(): void;
  /** The cursor moved to this x, or left the chart. */
  cursorAt(x: number | undefined): void;
  /** A gesture requests the newest samples. */
  showNewest(): void;
  /** Returns when the hub received the newest sample, by its clock. */
  receivedAt(): number | undefined;
}

export class ChartView {
  /** The parent of uPlot's elements. */
  readonly element = document.createElement('div');
  readonly window = new ViewWindow(10 * 60_000);
  readonly #listener: ChartViewListener;
  readonly #resize: ResizeObserver;
  #plot: uPlot | undefined;
  /** The style of the current uPlot instance. */
  #style: ChartStyle | undefined;
  #series: readonly PlotSeries[] = [];
  #range: Range | undefined;
  /** The shown range of each scale. */
  readonly #ranges = new Map<string, Range>();
  #cursor: number | undefined;

  constructor(listener: ChartViewListener, resized: () => void) {
    this.#listener = listener;
    this.#resize = new ResizeObserver(resized);
    this.element.className = 'canvas';
    watchGestures(this.element, {
      zoom: (factor, clientX) => {
        const plot = this.#plot;
        if (!plot) return;
        const around = this.#xAt(plot, clientX - plot.over.getBoundingClientRect().left);
        this.move((shown) => this.window.zoom(shown, factor, around));
      },
      pan: (pixels) => {
        const fraction = pixels / Math.max(1, this.#plot?.over.clientWidth ?? 1);
        this.move((shown) => this.window.pan(shown, fraction));
      },
      showNewest: () => listener.showNewest(),
    });
  }

  /** The shown x range. */
  get range(): Range | undefined {
    return this.#range;
  }

  get cursor(): number | undefined {
    return this.#cursor;
  }

  get series(): readonly PlotSeries[] {
    return this.#series;
  }

  get canvas(): HTMLCanvasElement | undefined {
    return this.#plot?.ctx.canvas;
  }

  watchSize(): void {
    this.#resize.observe(this.element);
  }

  /** Destroys the chart. `rebuild` creates it again. */
  destroy(): void {
    this.#resize.disconnect();
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  /** Recreates the chart for these series, or removes it if there are none. */
  rebuild(series: readonly PlotSeries[], style: ChartStyle): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#series = series;
    this.#style = style;
    if (series.length > 0) this.#plot = this.#build(style);
  }

  /** Shows another x range. */
  move(change: (shown: Range) => void): void {
    if (!this.#range) return;
    change(this.#range);
    this.redraw();
  }

  redraw(): void {
    const [plot, style] = [this.#plot, this.#style];
    if (!plot || !style) return;
    const { width, height } = this.#size();
    if (plot.width !== width || plot.height !== height) plot.setSize({ width, height });
    this.#updateRanges(style);
    plot.batch(() => {
      plot.setData(this.#columns(), false);
      plot.setScale('x', style.xy ? UNIT : (this.#range ?? UNIT));
      for (const scale of this.#ranges.keys()) if (scale !== 'x') plot.setScale(scale, UNIT);
      // Scales of numbers never change for uPlot, but their labels do.
      plot.redraw(false, true);
    });
    this.#listener.shown();
  }

  /** The distance in x of a number of CSS pixels. */
  widthOf(pixels: number): number {
    const { min, max } = this.#range ?? UNIT;
    const fraction = pixels / Math.max(1, this.#plot?.over.clientWidth ?? 1);
    return max * fraction - min * fraction;
  }

  /** Returns the drawn y values of a series. */
  drawnValues(name: string): number[] {
    const index = this.#series.findIndex((series) => series.name === name);
    if (index < 0 || !this.#plot) return [];
    const columns = this.#plot.data[index + 1] as unknown as [Float64Array, Float64Array] | undefined;
    return columns ? [...columns[1]] : [];
  }

  #build(style: ChartStyle): uPlot {
    const { scales, axes } = scalesAndAxes(this.#series, style, this.#size().width, this.#ranges);
    const lines = this.#series.map((series) => ({
      label: series.name,
      auto: false,
      facets: [
        { scale: 'x', auto: false },
        { scale: scaleOf(series, style), auto: false },
      ],
      paths: (plot: uPlot) => {
        strokeLine(plot, series, style, this.#ranges);
        return null;
      },
    }));
    this.#ranges.clear();
    this.#updateRanges(style);
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
        draw: [() => this.#listener.drawn()],
        setCursor: [(plot: uPlot) => this.#handleCursor(plot)],
        setSelect: [(plot: uPlot) => this.#handleSelection(plot)],
      },
    };
    return new uPlot(options as unknown as uPlot.Options, this.#columns(), this.element);
  }

  #columns(): uPlot.AlignedData {
    const columns = this.#series.map(({ samples }) => {
      const { xs, ys } = samples.columns();
      return [xs, ys];
    });
    return [null, ...columns] as unknown as uPlot.AlignedData;
  }

  #size(): { width: number; height: number } {
    const { clientWidth, clientHeight } = this.element;
    return { width: Math.max(80, clientWidth), height: Math.max(80, clientHeight) };
  }

  /** Selects the shown x range, and the y ranges of the samples in it. */
  #updateRanges(style: ChartStyle): void {
    const [min, max] = this.#extent(style);
    this.window.limit = style.xy ? Number.MAX_VALUE : MAX_TIME;
    const range = this.window.range(min, this.#newest(style) ?? max, style.xy);
    this.#range = range;
    this.#ranges.set('x', range);
    for (const [scale, [low, high]] of this.#yExtents(range, style)) {
      const [bottom, top] = yRange(low, high, style.log);
      this.#ranges.set(scale, { min: bottom, max: top });
    }
  }

  /** Returns the newest time to show, if the plot shows a span of newest samples. */
  #newest({ xy }: ChartStyle): number | undefined {
    const { span } = this.window;
    const series = this.#series.filter(({ samples }) => samples.length > 0);
    if (xy || span === undefined || series.length === 0) return undefined;
    const followed = series.map(({ samples, activity, stoppedSince }) => ({
      last: samples.x(samples.length - 1),
      newest: activity.newest?.[0] ?? NaN,
      stopped: stoppedSince !== undefined,
    }));
    return Math.max(
      -MAX_TIME + span,
      Math.min(MAX_TIME, liveEdge(followed, this.#listener.receivedAt(), span)),
    );
  }

  /** Returns the lowest and the highest y of each scale within the range. */
  #yExtents(range: Range, style: ChartStyle): Map<string, [number, number]> {
    const scales = new Map<string, [number, number]>();
    for (const series of this.#series) {
      const { samples, timed } = series;
      const [from, to] = timed ? visible(samples, range.min, range.max) : [0, samples.length];
      const scale = scaleOf(series, style);
      let [low, high] = scales.get(scale) ?? [Infinity, -Infinity];
      const { ys } = samples.columns();
      for (let index = from; index < to; index++) {
        const y = ys[index] ?? NaN;
        if (style.log && y <= 0) continue;
        if (y < low) low = y;
        if (y > high) high = y;
      }
      scales.set(scale, [low, high]);
    }
    return scales;
  }

  #extent({ xy }: ChartStyle): [number, number] {
    let [min, max] = [Infinity, -Infinity];
    for (const { samples, timed } of this.#series) {
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
    if (min > max) return xy ? [0, 1] : [Date.now() - 60_000, Date.now()];
    const padding = xy ? max * 0.04 - min * 0.04 : 0;
    const limit = xy ? Number.MAX_VALUE : MAX_TIME;
    return [Math.max(min - padding, -limit), Math.min(max + padding, limit)];
  }

  /** Returns the x at this position in CSS pixels. */
  #xAt(plot: uPlot, left: number): number {
    const value = plot.posToVal(left, 'x');
    const { min, max } = this.#range ?? UNIT;
    return this.#style?.xy === true ? min * (1 - value) + max * value : value;
  }

  #handleCursor(plot: uPlot): void {
    const left = plot.cursor.left ?? -1;
    const x = left >= 0 ? this.#xAt(plot, left) : undefined;
    if (x === this.#cursor) return;
    this.#cursor = x;
    this.#listener.cursorAt(x);
  }

  #handleSelection(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 5) return;
    this.window.select({ min: this.#xAt(plot, left), max: this.#xAt(plot, left + width) });
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.redraw();
  }
}
