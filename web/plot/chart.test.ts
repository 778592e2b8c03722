import { expect, it } from 'vitest';
import { scaleOf, scalesAndAxes, type ChartStyle } from './chart.ts';
import { isDashed, lineColour } from './plot-styles.ts';
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
  set.apply([part(1, '°C'), part(2, '°C'), part(3, 'kbit/s'), part(4)], true);
  const series = set.all();
  const { scales, axes } = scalesAndAxes(series, STYLE, 1200);
  expect(Object.keys(scales)).toHaveLength(1 + 3);
  expect(axes.map(({ label }) => label)).toEqual([undefined, '°C', 'kbit/s', undefined]);
  const [first, second, third] = series.map((item) => scaleOf(item, STYLE));
  expect(first).toBe(second);
  expect(first).not.toBe(third);
  const own = scalesAndAxes(series, { ...STYLE, ownScales: true }, 1200);
  expect(Object.keys(own.scales)).toHaveLength(1 + 4);
  // A narrow chart has one y axis.
  expect(scalesAndAxes(series, STYLE, 390).axes).toHaveLength(2);
});

it('all series of a plot look different, whatever their ids are', () => {
  const set = new SeriesSet();
  // These ids are equal modulo 10, the size of the palette.
  set.apply(
    [1, 11, 21, 31].map((id) => part(id)),
    true,
  );
  const appearance = (slot: number): string => `${lineColour(slot, true)} ${isDashed(slot)}`;
  expect(new Set(set.all().map(({ slot }) => appearance(slot))).size).toBe(4);
  const slots = set.all().map(({ slot }) => slot);
  set.apply([{ ...part(11), gone: true }, part(41)], false);
  expect(set.get(41)?.slot).toBe(1);
  expect(set.get(31)?.slot).toBe(slots[3]);
  expect(new Set(Array.from({ length: 20 }, (_, slot) => appearance(slot))).size).toBe(20);
});
