// Maps keys to actions on a wall, and finds the next camera. It uses no DOM except the event.

export type Direction = 'left' | 'right' | 'up' | 'down' | 'first' | 'last';
export type WallKey = Direction | 'close' | 'freeze' | 'fullscreen' | 'sound';

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
  ['m', 'sound'],
  ['M', 'sound'],
]);

interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
}

/** What has focus in a tile: the tile itself, another button, a slider, or a menu. */
export type Focus = 'tile' | 'button' | 'slider' | 'menu';

/** Returns what has focus if it is this element of a tile. */
export function focusOf(active: Pick<Element, 'matches'> | null | undefined): Focus {
  if (active?.matches('input')) return 'slider';
  if (active?.matches('select')) return 'menu';
  return active?.matches('button:not(.open)') ? 'button' : 'tile';
}

/**
 * Returns the action of a key, or `undefined` to leave it to the browser. On a tile's button, Space presses the
 * button. On a slider, all keys without a letter move it; a menu uses all keys.
 */
export function wallKey(event: KeyPress, solo: boolean, focus: Focus): WallKey | undefined {
  if (event.ctrlKey || event.altKey || event.metaKey) return undefined;
  if (event.key === 'Escape') return solo ? 'close' : undefined;
  if (focus === 'menu' || (event.key === ' ' && focus !== 'tile')) return undefined;
  if (event.key.length > 1 && focus === 'slider') return undefined;
  return KEYS.get(event.key);
}

/**
 * Returns the next camera in a direction. With one camera shown it wraps around; in the grid it stops at the
 * edges.
 */
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
