import { expect, it } from 'vitest';
import { scaleOf, scalesAndAxes, type ChartStyle } from './chart.ts';
import type { SeriesPart } from './series-message.ts';
import { SeriesSet } from './series-set.ts';

const STYLE: ChartStyle = { ink: '#000', dark: false, log: false, ownScales: false, xy: false };

const part = (id: number, unit?: string): SeriesPart => ({
  id,
  name: `series ${id}`,
  unit,
  xy: false,
  clockOffset: undefined,
  gone: false,
  gap: 0,
  points: [[1.7e12, 1]],
});

it('series of the same unit share a scale, unless each has its own', () => {
  const set = new SeriesSet();
  set.apply([part(1, '°C'), part(2, '°C'), part(3, 'kbit/s'), part(4)], true, 0);
  const series = set.all();
  const { scales, axes } = scalesAndAxes(series, STYLE, 1200, new Map());
  expect(Object.keys(scales)).toHaveLength(1 + 3);
  expect(axes.map(({ label }) => label)).toEqual([undefined, '°C', 'kbit/s', undefined]);
  const [first, second, third] = series.map((item) => scaleOf(item, STYLE));
  expect(first).toBe(second);
  expect(first).not.toBe(third);
  const own = scalesAndAxes(series, { ...STYLE, ownScales: true }, 1200, new Map());
  expect(Object.keys(own.scales)).toHaveLength(1 + 4);
  // A narrow chart has one y axis.
  expect(scalesAndAxes(series, STYLE, 390, new Map()).axes).toHaveLength(2);
});
