// The panels of the page /live and their order. They are stored in the address' hash, so that a link can be shared, and
// in the browser for the next visit.

export type Panel =
  | { readonly kind: 'camera'; readonly id: string }
  /** An empty list of names means all series. */
  | { readonly kind: 'plot'; readonly names: readonly string[] };

const KEY = 'ocelli.live';
const MOST = 32;

export function toAddress(panels: readonly Panel[]): string {
  const parameters = new URLSearchParams();
  for (const panel of panels)
    if (panel.kind === 'camera') parameters.append('camera', panel.id);
    // A series' name never contains a line break.
    else parameters.append('plot', panel.names.join('\n'));
  return parameters.toString();
}

export function fromAddress(address: string): Panel[] {
  const panels: Panel[] = [];
  for (const [kind, value] of new URLSearchParams(address.replace(/^#/, '')))
    if (kind === 'camera' && value !== '') panels.push({ kind, id: value });
    else if (kind === 'plot') panels.push({ kind, names: value === '' ? [] : value.split('\n') });
  return panels.slice(0, MOST);
}

/** The default panels: the first two cameras, and all series. */
export function firstPanels(cameras: readonly string[]): Panel[] {
  return [...cameras.slice(0, 2).map((id) => ({ kind: 'camera' as const, id })), { kind: 'plot', names: [] }];
}

export function stored(storage: Pick<Storage, 'getItem'>): Panel[] {
  try {
    return fromAddress(storage.getItem(KEY) ?? '');
  } catch {
    return [];
  }
}

export function keep(storage: Pick<Storage, 'setItem'>, panels: readonly Panel[]): void {
  try {
    storage.setItem(KEY, toAddress(panels));
  } catch {
    // Storage may be blocked. The layout is still in the address.
  }
}

/** Returns the panels with one moved by `by` places, or unchanged at the end of the list. */
export function moved(panels: readonly Panel[], from: number, by: number): Panel[] {
  const to = from + by;
  const panel = panels[from];
  if (!panel || to < 0 || to >= panels.length) return [...panels];
  const rest = panels.filter((_, index) => index !== from);
  return [...rest.slice(0, to), panel, ...rest.slice(to)];
}

/** Describes how far the cursor's time is from a picture's. Both are ms since the epoch by the hub's clock. */
export function distance(cursor: number, picture: number): string {
  const seconds = (cursor - picture) / 1000;
  const size = Math.abs(seconds);
  if (size < 0.0005) return 'at this picture';
  const amount =
    size < 1
      ? `${Math.round(size * 1000)} ms`
      : size < 120
        ? `${size.toFixed(1)} s`
        : `${Math.round(size / 60)} min`;
  return `${amount} ${seconds < 0 ? 'before' : 'after'} this picture`;
}
