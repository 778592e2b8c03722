// What keys mean on a wall. No DOM beyond the event: which camera comes next is arithmetic.

export type Direction = 'left' | 'right' | 'up' | 'down' | 'first' | 'last';
export type WallKey = Direction | 'close' | 'freeze' | 'fullscreen';

const KEYS: ReadonlyMap<string, WallKey> = new Map([
  ['ArrowLeft', 'left'],
  ['ArrowRight', 'right'],
  ['ArrowUp', 'up'],
  ['ArrowDown', 'down'],
  ['Home', 'first'],
  ['End', 'last'],
  [' ', 'freeze'],
  ['f', 'fullscreen'],
  ['F', 'fullscreen'],
]);

interface Pressed {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
}

/** `undefined` leaves the key to the browser. On a tile's own button, Space presses that. */
export function wallKey(event: Pressed, solo: boolean, onButton: boolean): WallKey | undefined {
  if (event.ctrlKey || event.altKey || event.metaKey) return undefined;
  if (event.key === 'Escape') return solo ? 'close' : undefined;
  if (event.key === ' ' && onButton) return undefined;
  return KEYS.get(event.key);
}

/** Alone, a camera has a next and a previous one, in a ring; in the grid the arrows stop at its edges. */
export function nextCamera(
  ids: readonly string[],
  from: string | undefined,
  direction: Direction,
  columns: number,
  solo: boolean,
): string | undefined {
  const index = from === undefined ? -1 : ids.indexOf(from);
  if (index < 0) return ids[0];
  if (direction === 'first') return ids[0];
  if (direction === 'last') return ids.at(-1);
  if (solo) {
    const step = direction === 'left' || direction === 'up' ? -1 : 1;
    return ids[(index + step + ids.length) % ids.length];
  }
  const step = { left: -1, right: 1, up: -columns, down: columns }[direction];
  return ids[index + step] ?? from;
}
