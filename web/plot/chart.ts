// The scales and axes of a chart for uPlot, and the drawing of a line.
import type uPlot from 'uplot';
import { linearMapping, drawByColumns, drawInOrder, visible } from './draw-line.ts';
import { isDashed, lineColour } from './plot-styles.ts';
import type { PlotSeries } from './series-set.ts';
import { timeLabels, timeLabelWidth } from './time-axis.ts';
import type { Range } from './window.ts';

export interface ChartStyle {
  readonly ink: string;
  readonly dark: boolean;
  readonly log: boolean;
  /** Whether each series has its own scale. Otherwise series of the same unit share one. */
  readonly ownScales: boolean;
  readonly xy: boolean;
}

const LOGARITHMIC = { distr: 3 } as unknown as uPlot.Scale;
/** The maximum number of y axes. More would leave no space for the lines; the legend shows the values. */
const MAX_Y_AXES = 3;
/** A chart narrower than this, in CSS pixels, has one y axis. */
const NARROW = 520;
// uPlot's enum of sides is not available at run time.
const LEFT = { side: 3 } as unknown as uPlot.Axis;
const RIGHT = { side: 1 } as unknown as uPlot.Axis;
const DASH: readonly number[] = [7, 4];

export const scaleOf = (series: PlotSeries, { ownScales }: ChartStyle): string =>
  ownScales ? `y${series.id}` : `y ${series.unit ?? ''}`;

export function scalesAndAxes(
  drawn: readonly PlotSeries[],
  style: ChartStyle,
  width: number,
): { scales: Record<string, uPlot.Scale>; axes: uPlot.Axis[] } {
  const { ink, dark, log, ownScales, xy } = style;
  const grid = { stroke: dark ? '#2a323c' : '#dfe3e8', width: 1 };
  const ticks = { stroke: grid.stroke, size: 5 };
  const scales: Record<string, uPlot.Scale> = { x: { time: !xy, auto: false } };
  const labels: uPlot.Axis.DynamicValues = (_plot, splits, _axis, _space, spacing) =>
    timeLabels(splits, spacing);
  const space: uPlot.Axis.Space = (_plot, _axis, min, max, available) => timeLabelWidth(max - min, available);
  const xAxis: uPlot.Axis = { stroke: ink, grid, ticks, ...(xy ? {} : { values: labels, space }) };
  const maxAxes = width < NARROW ? 1 : MAX_Y_AXES;
  const axes = [xAxis];
  for (const series of drawn) {
    const scale = scaleOf(series, style);
    if (scales[scale]) continue;
    scales[scale] = { auto: false, ...(log ? LOGARITHMIC : {}) };
    if (axes.length > maxAxes) continue;
    const first = axes.length === 1;
    const unit = series.unit === undefined ? {} : { label: series.unit, labelSize: 18, labelGap: 2 };
    axes.push({
      scale,
      stroke: ownScales ? lineColour(series.slot, dark) : ink,
      ...(axes.length === 2 ? RIGHT : LEFT),
      size: 58,
      ticks,
      grid: { ...grid, show: first },
      ...unit,
    });
  }
  return { scales, axes };
}

/** Draws the line of a series. `range` is the shown x range. */
export function strokeLine(
  plot: uPlot,
  series: PlotSeries,
  style: ChartStyle,
  range: Range | undefined,
): void {
  const { ctx, bbox } = plot;
  const { log, dark } = style;
  const { min: left = 0, max: right = 1 } = plot.scales['x'] ?? {};
  const { min: bottom = 0, max: top = 1 } = plot.scales[scaleOf(series, style)] ?? {};
  const toScale = (value: number): number => (log ? Math.log10(value) : value);
  // uPlot's conversion would cost a call per sample.
  const [xOffset, xScale] = linearMapping(left, bbox.left, right, bbox.left + bbox.width);
  const [yOffset, yScale] = linearMapping(toScale(bottom), bbox.top + bbox.height, toScale(top), bbox.top);
  const mapping = { xOffset, xScale, yOffset, yScale, log };
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.beginPath();
  ctx.strokeStyle = lineColour(series.slot, dark);
  const { min, max } = range ?? { min: -Infinity, max: Infinity };
  const [from, to] = series.timed ? visible(series.samples, min, max) : [0, series.samples.length];
  // With more samples than pixel columns, a wide or dashed line costs many times as much and looks the same.
  const dense = to - from > bbox.width;
  ctx.lineWidth = dense ? 1 : 1.5 * devicePixelRatio;
  ctx.lineJoin = dense ? 'bevel' : 'round';
  if (!dense && isDashed(series.slot)) ctx.setLineDash(DASH.map((length) => length * devicePixelRatio));
  if (series.timed) {
    const points = drawByColumns(series.samples, from, to, mapping, ctx);
    // A single sample is drawn as a dot.
    if (points === 1) {
      const at = Math.max(from, to - 1);
      const y = toScale(series.samples.y(at));
      ctx.arc(xOffset + xScale * series.samples.x(at), yOffset + yScale * y, 2 * devicePixelRatio, 0, 7);
    }
  } else {
    drawInOrder(series.samples, mapping, ctx);
  }
  ctx.stroke();
  ctx.restore();
}
