// Where the tiles of a wall go: as large as possible, every camera visible, and only on small screens scrolling.

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
  /** The height of everything; more than the room's means that it scrolls. */
  readonly height: number;
  /** From one row to the next. */
  readonly pitch: number;
}

const WIDE = 16 / 9;
const CLASSIC = 4 / 3;
/** Cells may be taller than the pictures, so that they fill the window better, but not flatter. */
const TALLEST = 0.75;
const HARDLY_SMALLER = 0.96;
const NARROW_SCREEN = 600;
const SMALLEST_TILE = 96;

export function gapFor(count: number): number {
  return count > 36 ? 3 : count > 9 ? 5 : 8;
}

/** The shape to make tiles for: that of most of the cameras, as far as it is known, and 16:9 before that. */
export function usualAspect(sizes: readonly { readonly width?: number; readonly height?: number }[]): number {
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
    return scrolling(count, width, height, columns, gap, aspect);
  }
  const columns = bestColumns(count, width, height, gap, aspect);
  const rows = Math.ceil(count / columns);
  const cell = cellSize(columns, rows, width, height, gap, aspect);
  if (pictureWidth(cell.width, cell.height, aspect) < SMALLEST_TILE && count > 1) {
    const fitting = Math.max(1, Math.floor((width + gap) / (SMALLEST_TILE * 1.25 + gap)));
    return scrolling(count, width, height, Math.min(fitting, count), gap, aspect);
  }
  return place(count, columns, rows, cell.width, cell.height, gap, width, height);
}

/**
 * The number of columns that shows the largest pictures. Where sizes hardly differ, the grid with fewer holes, and then
 * the wider one: its tiles are taller than the pictures, which leaves room for the names below them.
 */
function bestColumns(count: number, width: number, height: number, gap: number, aspect: number): number {
  const grids = Array.from({ length: count }, (_, index) => {
    const columns = index + 1;
    const rows = Math.ceil(count / columns);
    const cell = cellSize(columns, rows, width, height, gap, aspect);
    return { columns, holes: columns * rows - count, size: pictureWidth(cell.width, cell.height, aspect) };
  });
  const largest = Math.max(...grids.map(({ size }) => size));
  const good = grids.filter(({ size }) => size >= largest * HARDLY_SMALLER);
  good.sort((a, b) => a.holes - b.holes || b.columns - a.columns);
  return good[0]?.columns ?? 1;
}

function cellSize(
  columns: number,
  rows: number,
  width: number,
  height: number,
  gap: number,
  aspect: number,
): { width: number; height: number } {
  const roomX = (width - gap * (columns - 1)) / columns;
  const roomY = (height - gap * (rows - 1)) / rows;
  return {
    width: Math.max(1, Math.floor(Math.min(roomX, roomY * aspect))),
    height: Math.max(1, Math.floor(Math.min(roomY, roomX / (aspect * TALLEST)))),
  };
}

/** How wide a picture of the usual shape shows in a cell. */
function pictureWidth(width: number, height: number, aspect: number): number {
  return Math.min(width, height * aspect);
}

function scrolling(
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

/** Centres what is smaller than the room; in a tall room, a phone's, rows begin where the eye does, at the top. */
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

/** The largest rectangle of a picture's shape inside a tile, centred: nothing is cut off, nothing is distorted. */
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
  /** Which of the canvases shows it. */
  readonly slot: number;
  readonly index: number;
  readonly top: number;
  readonly height: number;
  readonly firstRow: number;
  readonly lastRow: number;
}

export const BAND_SLOTS = 3;

/**
 * A scrolling wall is painted on a few canvases that stand in the scrolled content, each a window's height of rows.
 * So pictures scroll exactly with their labels, and a canvas moves to its next place while nobody sees it.
 */
export function bands(grid: Grid, roomHeight: number, scrollTop: number): Band[] {
  if (grid.rows === 0) return [];
  if (grid.height <= roomHeight) {
    return [{ slot: 0, index: 0, top: 0, height: roomHeight, firstRow: 0, lastRow: grid.rows - 1 }];
  }
  const rowsPerBand = Math.max(1, Math.ceil(roomHeight / grid.pitch));
  const bandHeight = rowsPerBand * grid.pitch;
  const count = Math.ceil(grid.rows / rowsPerBand);
  // Three consecutive bands around the middle of what is visible: at most two of them are seen at a time.
  const middle = Math.floor((scrollTop + roomHeight / 2) / bandHeight);
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
