import { describe, expect, test } from 'vitest';
import { bands, contain, layoutGrid, typicalAspect, type Rect } from './grid.ts';

const disjoint = (a: Rect, b: Rect): boolean =>
  a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;

describe('layoutGrid', () => {
  test('a grid that is smaller than the wall is centred, or at the top of a tall wall', () => {
    const centred = (count: number, width: number) => (layoutGrid(count, width, 700).tiles[0]?.y ?? 0) > 0;
    expect(centred(2, 1280)).toBe(true);
    expect(centred(1, 390)).toBe(true);
    expect(centred(8, 390)).toBe(false);
  });

  test('any number of cameras fits a desktop window without overlap', () => {
    for (const [width, height] of [
      [1280, 720],
      [1920, 1080],
      [2560, 1000],
      [800, 1200],
    ] as const) {
      for (let count = 1; count <= 130; count++) {
        const { tiles, columns, rows, height: used } = layoutGrid(count, width, height);
        const label = `${count} cameras in ${width} × ${height}`;
        expect(tiles, label).toHaveLength(count);
        expect(columns * rows, label).toBeGreaterThanOrEqual(count);
        expect(columns * (rows - 1), label).toBeLessThan(count);
        for (const tile of tiles) {
          expect(tile.x, label).toBeGreaterThanOrEqual(0);
          expect(tile.x + tile.width, label).toBeLessThanOrEqual(width);
          if (used <= height) expect(tile.y + tile.height, label).toBeLessThanOrEqual(height);
        }
        if (count > 1 && tiles[0] && tiles[1]) expect(disjoint(tiles[0], tiles[1]), label).toBe(true);
        const below = tiles[columns];
        if (below && tiles[0]) expect(disjoint(tiles[0], below), label).toBe(true);
      }
    }
  });

  test('a hundred cameras fit a window without scrolling', () => {
    const { height, tiles } = layoutGrid(100, 1280, 720);
    expect(height).toBeLessThanOrEqual(720);
    expect(tiles[0]?.width).toBeGreaterThan(100);
  });

  test('four cameras make a 2 × 2 grid, and three cameras in a wide window make one row', () => {
    expect(layoutGrid(4, 1600, 900)).toMatchObject({ columns: 2, rows: 2 });
    expect(layoutGrid(3, 2000, 400)).toMatchObject({ columns: 3, rows: 1 });
    expect(layoutGrid(16, 1280, 720)).toMatchObject({ columns: 4, rows: 4 });
  });

  test('one camera fills the window', () => {
    expect(layoutGrid(1, 1600, 900).tiles).toEqual([{ x: 0, y: 0, width: 1600, height: 900 }]);
  });

  test('among similar sizes, a grid without empty cells is preferred, then the wider one', () => {
    expect(layoutGrid(12, 1424, 836)).toMatchObject({ columns: 4, rows: 3 });
    expect(layoutGrid(10, 1424, 500)).toMatchObject({ columns: 5, rows: 2 });
  });

  test('tiles stay close to the aspect ratio of the pictures', () => {
    for (let count = 1; count < 60; count++) {
      for (const tile of layoutGrid(count, 3000, 500).tiles) {
        expect(tile.width / tile.height).toBeLessThanOrEqual(1.8);
        expect(tile.width / tile.height).toBeGreaterThan(1.2);
      }
    }
  });

  test('a phone has one or two columns, and scrolls', () => {
    expect(layoutGrid(3, 390, 700)).toMatchObject({ columns: 1 });
    const many = layoutGrid(40, 390, 700);
    expect(many.columns).toBe(2);
    expect(many.height).toBeGreaterThan(700);
    expect(many.tiles[0]?.width).toBeGreaterThan(180);
  });

  test('a very large number of cameras scrolls instead of shrinking further', () => {
    const { tiles, height } = layoutGrid(1000, 1280, 720);
    expect(tiles[0]?.width).toBeGreaterThanOrEqual(96);
    expect(height).toBeGreaterThan(720);
  });

  test('without space or cameras the grid is empty', () => {
    expect(layoutGrid(0, 800, 600).tiles).toEqual([]);
    expect(layoutGrid(5, 0, 600).tiles).toEqual([]);
  });
});

describe('typicalAspect', () => {
  test('is the median of the cameras, between 4:3 and 16:9', () => {
    expect(typicalAspect([])).toBeCloseTo(16 / 9);
    expect(typicalAspect([{ width: 320, height: 240 }, {}])).toBeCloseTo(4 / 3);
    expect(typicalAspect([{ width: 480, height: 640 }])).toBeCloseTo(4 / 3);
    expect(typicalAspect([{ width: 3000, height: 500 }])).toBeCloseTo(16 / 9);
    expect(typicalAspect([{ width: 0, height: 0 }])).toBeCloseTo(16 / 9);
  });
});

describe('contain', () => {
  test('keeps the aspect ratio and centres the picture', () => {
    const tile = { x: 10, y: 20, width: 160, height: 90 };
    expect(contain(tile, 640, 480)).toEqual({ x: 30, y: 20, width: 120, height: 90 });
    expect(contain(tile, 1600, 400)).toEqual({ x: 10, y: 45, width: 160, height: 40 });
  });
});

describe('bands', () => {
  test('a grid that fits has one band', () => {
    const grid = layoutGrid(16, 1280, 720);
    expect(bands(grid, 720, 0)).toEqual([
      { slot: 0, index: 0, top: 0, height: 720, firstRow: 0, lastRow: 3 },
    ]);
  });

  test('the bands cover the visible part at every scroll position, and no visible canvas moves', () => {
    const grid = layoutGrid(200, 390, 700);
    let before = new Map<number, { top: number; height: number }>();
    for (let top = 0; top <= grid.height - 700; top += 13) {
      const list = bands(grid, 700, top);
      expect(new Set(list.map(({ slot }) => slot)).size).toBe(list.length);
      const first = list[0]?.top ?? Infinity;
      const last = list.at(-1);
      expect(first).toBeLessThanOrEqual(top);
      expect((last?.top ?? 0) + (last?.height ?? 0)).toBeGreaterThanOrEqual(Math.min(top + 700, grid.height));
      for (const { slot, top: now, height } of list) {
        const previous = before.get(slot);
        if (!previous || previous.top === now) continue;
        const wasVisible = previous.top < top + 700 && previous.top + previous.height > top;
        expect(wasVisible, `slot ${slot} at ${top}`).toBe(false);
        expect(now < top + 700 && now + height > top, `slot ${slot} moves into view at ${top}`).toBe(false);
      }
      before = new Map(list.map((band) => [band.slot, band]));
    }
  });
});
