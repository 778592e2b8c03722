import { describe, expect, it } from 'vitest';
import { assignSlots, COLOURS, dashOf, lineColour } from './colours.ts';
import type { SeriesPart } from './series-message.ts';
import { SeriesSet, type PlotSeries } from './series-set.ts';

const part = (id: number): SeriesPart => ({
  id,
  name: `series ${id}`,
  unit: undefined,
  xy: false,
  clockOffset: undefined,
  gone: false,
  gap: 0,
  points: [[1.7e12, 1]],
});

const setOf = (count: number): SeriesSet => {
  const set = new SeriesSet();
  set.apply(
    Array.from({ length: count }, (_, index) => part(index + 1)),
    true,
    0,
  );
  return set;
};

const slots = (series: readonly PlotSeries[]): number[] => series.map(({ slot }) => slot);

type Colour = readonly [number, number, number];

const linear = (hex: string): Colour => {
  const channel = (at: number): number => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
};

const contrast = (a: string, b: string): number => {
  const [x, y] = [a, b].map((hex) => {
    const [red, green, blue] = linear(hex);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
  });
  return Math.max((x ?? 1) / (y ?? 1), (y ?? 1) / (x ?? 1));
};

/** Returns the distance in OKLab, in which equal distances look equal. */
const distance = (a: string, b: string): number => {
  const lab = (hex: string): Colour => {
    const [r, g, b] = linear(hex);
    const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return [
      0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
      1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
      0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
    ];
  };
  const [p, q] = [lab(a), lab(b)];
  return Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
};

describe('the appearances of lines', () => {
  it.each([
    [false, '#ffffff'],
    [true, '#171c23'],
  ])('are distinct and visible (dark: %s)', (dark, ground) => {
    const colours = Array.from({ length: COLOURS }, (_, slot) => lineColour(slot, dark));
    for (const [index, colour] of colours.entries()) {
      expect(contrast(colour, ground), colour).toBeGreaterThan(3);
      for (const other of colours.slice(0, index))
        expect(distance(colour, other), `${colour} ${other}`).toBeGreaterThan(0.04);
    }
    const looks = Array.from({ length: 50 }, (_, slot) => `${lineColour(slot, dark)} ${dashOf(slot).join()}`);
    expect(new Set(looks).size).toBe(50);
  });

  it('do not repeat among shown series while others are free, whatever the ids are', () => {
    const all = setOf(50).all();
    // Only these are shown, and one colour each is enough.
    const shown = all.filter(({ id }) => id % 3 === 0);
    assignSlots(shown, []);
    expect(slots(shown)).toEqual(shown.map((_, index) => index));
    expect(new Set(slots(shown).map((slot) => lineColour(slot, true))).size).toBe(shown.length);
  });

  it('stay when other series are hidden and shown', () => {
    const [a, b, c, d] = setOf(4).all() as [PlotSeries, PlotSeries, PlotSeries, PlotSeries];
    assignSlots([a, b, c], []);
    expect(slots([a, b, c])).toEqual([0, 1, 2]);
    assignSlots([a, c], [a, b, c]);
    // The free one is used again, and `b` gets another one when it returns.
    assignSlots([a, c, d], [a, c]);
    expect(slots([a, c, d])).toEqual([0, 2, 1]);
    assignSlots([a, b, c, d], [a, c, d]);
    expect(slots([a, b, c, d])).toEqual([0, 3, 2, 1]);
    // A series that was hidden keeps its own if it is still free.
    assignSlots([a, b], [a, b, c, d]);
    assignSlots([a, b, c, d], [a, b]);
    expect(slots([a, b, c, d])).toEqual([0, 3, 2, 1]);
  });

  it('stay when the connection is made again', () => {
    const set = setOf(3);
    const [, b, c] = set.all() as [PlotSeries, PlotSeries, PlotSeries];
    assignSlots([b, c], []);
    set.apply([1, 2, 3].map(part), true, 0);
    const shown = set.all().slice(1);
    assignSlots(shown, [b, c]);
    expect(slots(shown)).toEqual([0, 1]);
  });
});

it('series are in natural order of their names', () => {
  const names = ['cam 10', 'cam 2', 'cam 1', 'Cam 11', 'cam 1.5', 'a100b', 'a9b'];
  const set = new SeriesSet();
  set.apply(
    names.map((name, id) => ({ ...part(id), name })),
    true,
    0,
  );
  expect(set.all().map(({ name }) => name)).toEqual([
    'a9b',
    'a100b',
    'cam 1',
    'cam 1.5',
    'cam 2',
    'cam 10',
    'Cam 11',
  ]);
});
