// Lays out the tiles of a wall: as large as possible with all cameras visible. Only small screens and very large walls
// scroll.

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Grid {
  readonly columns: number;
  readonly rows: number;
  readonly tiles: readonly Rect[];
  /** The total height. The wall scrolls if it exceeds the available height. */
  readonly height: number;
  /** The distance from one row to the next. */
  readonly pitch: number;
}

const WIDE = 16 / 9;
const CLASSIC = 4 / 3;
/** Cells may be taller than the pictures, to fill the window better, but not shorter. */
const TALLEST_CELL = 0.75;
const SIMILAR_SIZE = 0.96;
const NARROW_SCREEN = 600;
const MIN_TILE_WIDTH = 96;

export function gapFor(count: number): number {
  return count > 36 ? 3 : count > 9 ? 5 : 8;
}

/** Returns the aspect ratio for tiles: the median of the known cameras, or 16:9 if none is known. */
export function typicalAspect(
  sizes: readonly { readonly width?: number; readonly height?: number }[],
): number {
  const known = sizes
    .flatMap(({ width = 0, height = 0 }) => (width > 0 && height > 0 ? [width / height] : []))
    .sort((a, b) => a - b);
  const median = known[Math.floor(known.length / 2)] ?? WIDE;
  return Math.min(WIDE, Math.max(CLASSIC, median));
}

export function layoutGrid(count: number, width: number, height: number, aspect = WIDE): Grid {
  if (count === 0 || width <= 0 || height <= 0)
    return { columns: 0, rows: 0, tiles: [], height: 0, pitch: 0 };
  const gap = gapFor(count);
  if (width < NARROW_SCREEN && width < height) {
    const columns = count > 4 && width >= 300 ? 2 : 1;
    return scrollingGrid(count, width, height, columns, gap, aspect);
  }
  const columns = bestColumns(count, width, height, gap, aspect);
  const rows = Math.ceil(count / columns);
  const cell = cellSize(columns, rows, width, height, gap, aspect);
  if (pictureWidth(cell.width, cell.height, aspect) < MIN_TILE_WIDTH && count > 1) {
    const fitting = Math.max(1, Math.floor((width + gap) / (MIN_TILE_WIDTH * 1.25 + gap)));
    return scrollingGrid(count, width, height, Math.min(fitting, count), gap, aspect);
  }
  return place(count, columns, rows, cell.width, cell.height, gap, width, height);
}

/**
 * Returns the number of columns with the largest pictures. Among similar sizes it prefers fewer empty cells, then more
 * columns: their tiles are taller than the pictures, which leaves space for the names below them.
 */
function bestColumns(count: number, width: number, height: number, gap: number, aspect: number): number {
  const grids = Array.from({ length: count }, (_, index) => {
    const columns = index + 1;
    const rows = Math.ceil(count / columns);
    const cell = cellSize(columns, rows, width, height, gap, aspect);
    return {
      columns,
      emptyCells: columns * rows - count,
      size: pictureWidth(cell.width, cell.height, aspect),
    };
  });
  const largest = Math.max(...grids.map(({ size }) => size));
  const candidates = grids.filter(({ size }) => size >= largest * SIMILAR_SIZE);
  candidates.sort((a, b) => a.emptyCells - b.emptyCells || b.columns - a.columns);
  return candidates[0]?.columns ?? 1;
}

function cellSize(
  columns: number,
  rows: number,
  width: number,
  height: number,
  gap: number,
  aspect: number,
): { width: number; height: number } {
  const availableWidth = (width - gap * (columns - 1)) / columns;
  const availableHeight = (height - gap * (rows - 1)) / rows;
  return {
    width: Math.max(1, Math.floor(Math.min(availableWidth, availableHeight * aspect))),
    height: Math.max(1, Math.floor(Math.min(availableHeight, availableWidth / (aspect * TALLEST_CELL)))),
  };
}

/** Returns the width of a picture of the typical aspect ratio in a cell. */
function pictureWidth(width: number, height: number, aspect: number): number {
  return Math.min(width, height * aspect);
}

function scrollingGrid(
  count: number,
  width: number,
  height: number,
  columns: number,
  gap: number,
  aspect: number,
): Grid {
  const rows = Math.ceil(count / columns);
  const tileWidth = Math.floor((width - gap * (columns - 1)) / columns);
  return place(count, columns, rows, tileWidth, Math.round(tileWidth / aspect), gap, width, height);
}

/** Places the tiles. A smaller grid is centred; in a tall area (a phone) several rows start at the top. */
function place(
  count: number,
  columns: number,
  rows: number,
  tileWidth: number,
  tileHeight: number,
  gap: number,
  width: number,
  height: number,
): Grid {
  const usedWidth = columns * tileWidth + (columns - 1) * gap;
  const usedHeight = rows * tileHeight + (rows - 1) * gap;
  const left = Math.max(0, Math.floor((width - usedWidth) / 2));
  const fromTop = usedHeight >= height || (rows > 1 && height > width);
  const top = fromTop ? 0 : Math.floor((height - usedHeight) / 2);
  const tiles = Array.from({ length: count }, (_, index) => ({
    x: left + (index % columns) * (tileWidth + gap),
    y: top + Math.floor(index / columns) * (tileHeight + gap),
    width: tileWidth,
    height: tileHeight,
  }));
  return { columns, rows, tiles, height: Math.max(usedHeight, 0), pitch: tileHeight + gap };
}

/**
 * Returns the largest centred rectangle with a picture's aspect ratio inside a tile. Nothing is cropped or
 * distorted.
 */
export function contain(tile: Rect, width: number, height: number): Rect {
  const scale = Math.min(tile.width / width, tile.height / height);
  const shownWidth = Math.max(1, Math.round(width * scale));
  const shownHeight = Math.max(1, Math.round(height * scale));
  return {
    x: tile.x + Math.floor((tile.width - shownWidth) / 2),
    y: tile.y + Math.floor((tile.height - shownHeight) / 2),
    width: shownWidth,
    height: shownHeight,
  };
}

export interface Band {
  /** The canvas that shows it. */
  readonly slot: number;
  readonly index: number;
  readonly top: number;
  readonly height: number;
  readonly firstRow: number;
  readonly lastRow: number;
}

export const BAND_SLOTS = 3;

/**
 * Splits a scrolling wall into bands of about one window's height, painted on a few canvases inside the scrolled content.
 * Pictures scroll in sync with their labels, and a canvas moves to its next band only while it is out of view.
 */
export function bands(grid: Grid, viewHeight: number, scrollTop: number): Band[] {
  if (grid.rows === 0) return [];
  if (grid.height <= viewHeight) {
    return [{ slot: 0, index: 0, top: 0, height: viewHeight, firstRow: 0, lastRow: grid.rows - 1 }];
  }
  const rowsPerBand = Math.max(1, Math.ceil(viewHeight / grid.pitch));
  const bandHeight = rowsPerBand * grid.pitch;
  const count = Math.ceil(grid.rows / rowsPerBand);
  // Three consecutive bands around the middle of the visible part. At most two of them are visible at a time.
  const middle = Math.floor((scrollTop + viewHeight / 2) / bandHeight);
  const first = Math.max(0, Math.min(middle - 1, count - BAND_SLOTS));
  return Array.from({ length: Math.min(BAND_SLOTS, count) }, (_, offset) => {
    const index = first + offset;
    return {
      slot: index % BAND_SLOTS,
      index,
      top: index * bandHeight,
      height: bandHeight,
      firstRow: index * rowsPerBand,
      lastRow: Math.min(grid.rows, (index + 1) * rowsPerBand) - 1,
    };
  });
}
