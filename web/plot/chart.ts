// The scales and axes of a chart for uPlot, and the drawing of a line. uPlot's scales of numbers are from 0 to 1, the
// part of the shown range, because uPlot shows no labels of large and small numbers.
import type uPlot from 'uplot';
import { axisMapping, drawByColumns, drawInOrder, position, visible } from './draw-line.ts';
import { linearTicks, logTicks, type Ticks } from './number-axis.ts';
import { dashOf, lineColour } from './colours.ts';
import type { PlotSeries } from './series-set.ts';
import { TIME_INCREMENTS, timeLabels, timeLabelWidth } from './time-axis.ts';
import type { Range } from './window.ts';

export interface ChartStyle {
  readonly ink: string;
  readonly dark: boolean;
  readonly log: boolean;
  /** Whether each series has its own scale. Otherwise series of the same unit share one. */
  readonly ownScales: boolean;
  readonly xy: boolean;
}

/** The x scale and every y scale with its shown range. */
export type ShownRanges = ReadonlyMap<string, Range>;

/** The range of uPlot's scales of numbers. */
export const UNIT: Range = { min: 0, max: 1 };
/** The maximum number of y axes. More would leave no space for the lines; the legend shows the values. */
const MAX_Y_AXES = 3;
/** A chart narrower than this, in CSS pixels, has one y axis. */
const NARROW = 520;
// uPlot's enum of sides is not available at run time.
const LEFT = { side: 3 } as unknown as uPlot.Axis;
const RIGHT = { side: 1 } as unknown as uPlot.Axis;

export const scaleOf = (series: PlotSeries, { ownScales }: ChartStyle): string =>
  ownScales ? `y${series.id}` : `y ${series.unit ?? ''}`;

export function scalesAndAxes(
  drawn: readonly PlotSeries[],
  style: ChartStyle,
  width: number,
  ranges: ShownRanges,
): { scales: Record<string, uPlot.Scale>; axes: uPlot.Axis[] } {
  const { ink, dark, log, ownScales, xy } = style;
  const grid = { stroke: dark ? '#2a323c' : '#dfe3e8', width: 1 };
  const ticks = { stroke: grid.stroke, size: 5 };
  const scales: Record<string, uPlot.Scale> = { x: { time: !xy, auto: false } };
  const labels: uPlot.Axis.DynamicValues = (_plot, splits, _axis, _space, spacing) =>
    timeLabels(splits, spacing);
  const space: uPlot.Axis.Space = (_plot, _axis, min, max, available) => timeLabelWidth(max - min, available);
  const xAxis: uPlot.Axis = {
    stroke: ink,
    grid,
    ticks,
    ...(xy ? numberAxis('x', ranges, false, 70) : { values: labels, space, incrs: [...TIME_INCREMENTS] }),
  };
  const maxAxes = width < NARROW ? 1 : MAX_Y_AXES;
  const axes = [xAxis];
  for (const series of drawn) {
    const scale = scaleOf(series, style);
    if (scales[scale]) continue;
    scales[scale] = { auto: false };
    if (axes.length > maxAxes) continue;
    const first = axes.length === 1;
    const unit = series.unit === undefined ? {} : { label: series.unit, labelSize: 18, labelGap: 2 };
    axes.push({
      scale,
      stroke: ownScales ? lineColour(series.slot, dark) : ink,
      ...(axes.length === 2 ? RIGHT : LEFT),
      size: (_plot: uPlot, labels: readonly string[] | null) => axisWidth(labels ?? []),
      ...numberAxis(scale, ranges, log, 32),
      ticks,
      grid: { ...grid, show: first },
      ...unit,
    });
  }
  return { scales, axes };
}

/** Returns the ticks of an axis of numbers, at least `spacing` CSS pixels apart. */
function numberAxis(scale: string, ranges: ShownRanges, log: boolean, spacing: number): uPlot.Axis {
  const ticks = (size: number): Ticks => {
    const { min, max } = ranges.get(scale) ?? UNIT;
    return (log ? logTicks : linearTicks)(min, max, Math.floor(size / spacing));
  };
  const sizeOf = (plot: uPlot): number => {
    const { clientWidth, clientHeight } = plot.over;
    return scale === 'x' ? clientWidth : clientHeight;
  };
  return {
    // uPlot requires an increment that fits, but does not use it.
    incrs: [0.5, 1],
    splits: (plot) => {
      const { min, max } = ranges.get(scale) ?? UNIT;
      const mapping = axisMapping(min, max, 0, 1, log);
      return ticks(sizeOf(plot)).values.map((value) => position(mapping, value));
    },
    filter: (_plot, splits) => splits,
    values: (plot) => [...ticks(sizeOf(plot)).labels],
  };
}

/** Returns the width of a y axis in CSS pixels. It grows for long labels only, so that the chart rarely moves. */
const axisWidth = (labels: readonly string[]): number =>
  Math.max(58, 18 + 7 * Math.max(...labels.map(({ length }) => length)));

/** Draws the line of a series. */
export function strokeLine(plot: uPlot, series: PlotSeries, style: ChartStyle, ranges: ShownRanges): void {
  const { ctx, bbox } = plot;
  const { log, dark } = style;
  const shown = ranges.get('x') ?? UNIT;
  const { min: bottom, max: top } = ranges.get(scaleOf(series, style)) ?? UNIT;
  // uPlot's conversion would cost a call per sample.
  const mapping = {
    x: axisMapping(shown.min, shown.max, bbox.left, bbox.left + bbox.width),
    y: axisMapping(bottom, top, bbox.top + bbox.height, bbox.top, log),
  };
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.beginPath();
  ctx.strokeStyle = lineColour(series.slot, dark);
  const { samples, timed } = series;
  const [from, to] = timed ? visible(samples, shown.min, shown.max) : [0, samples.length];
  // With more samples than pixel columns, a wide or dashed line costs many times as much and looks the same.
  const dense = to - from > bbox.width;
  ctx.lineWidth = dense ? 1 : 1.5 * devicePixelRatio;
  ctx.lineJoin = dense ? 'bevel' : 'round';
  const dash = dense ? [] : dashOf(series.slot);
  ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
  if (timed) {
    const points = drawByColumns(samples, from, to, mapping, ctx);
    // A single sample is drawn as a dot.
    if (points === 1) {
      const at = Math.max(from, to - 1);
      const [x, y] = [position(mapping.x, samples.x(at)), position(mapping.y, samples.y(at))];
      ctx.arc(x, y, 2 * devicePixelRatio, 0, 7);
    }
  } else {
    drawInOrder(samples, mapping, ctx);
  }
  ctx.stroke();
  ctx.restore();
}
