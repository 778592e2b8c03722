// What the page of cameras and series shows, in which order. It stands in the address behind the #, so that it can
// be sent to somebody, and is kept in the browser for the next time.

export type Panel =
  | { readonly kind: 'camera'; readonly id: string }
  /** No names: all series. */
  | { readonly kind: 'plot'; readonly names: readonly string[] };

const KEY = 'ocelli.live';
const MOST = 32;

export function toAddress(panels: readonly Panel[]): string {
  const parameters = new URLSearchParams();
  for (const panel of panels)
    if (panel.kind === 'camera') parameters.append('camera', panel.id);
    // A series' name is one line.
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

/** What is shown until somebody chooses: two cameras, and all series. */
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
    // Storage can be forbidden; the address has it still.
  }
}

/** The panels with one moved by a place, if there is one to move to. */
export function moved(panels: readonly Panel[], from: number, by: number): Panel[] {
  const to = from + by;
  const panel = panels[from];
  if (!panel || to < 0 || to >= panels.length) return [...panels];
  const rest = panels.filter((_, index) => index !== from);
  return [...rest.slice(0, to), panel, ...rest.slice(to)];
}

/** How far the cursor's time is from a picture's, in words. Both in ms since the epoch, by the hub's clock. */
export function distance(cursor: number, picture: number): string {
  const seconds = (cursor - picture) / 1000;
  const size = Math.abs(seconds);
  if (size < 0.0005) return 'this very moment';
  const amount =
    size < 1
      ? `${Math.round(size * 1000)} ms`
      : size < 120
        ? `${size.toFixed(1)} s`
        : `${Math.round(size / 60)} min`;
  return `${amount} ${seconds < 0 ? 'before' : 'after'} this picture`;
}
