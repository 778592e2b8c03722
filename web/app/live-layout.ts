// The panels of the /live page and their order. They are stored in the URL's hash, so that a link can be shared, and in
// the browser for the next visit.

export type Panel =
  | { readonly kind: 'camera'; readonly id: string }
  /** An empty list of names means all series. */
  | { readonly kind: 'plot'; readonly names: readonly string[] };

const KEY = 'ocelli.live';
const MAX_PANELS = 32;

export function formatPanels(panels: readonly Panel[]): string {
  const parameters = new URLSearchParams();
  for (const panel of panels)
    if (panel.kind === 'camera') parameters.append('camera', panel.id);
    // A series' name never contains a line break.
    else parameters.append('plot', panel.names.join('\n'));
  return parameters.toString();
}

export function parsePanels(address: string): Panel[] {
  const panels: Panel[] = [];
  for (const [kind, value] of new URLSearchParams(address.replace(/^#/, '')))
    if (kind === 'camera' && value !== '') panels.push({ kind, id: value });
    else if (kind === 'plot') panels.push({ kind, names: value === '' ? [] : value.split('\n') });
  return panels.slice(0, MAX_PANELS);
}

/** The default panels: the first two cameras, and all series. */
export function defaultPanels(cameras: readonly string[]): Panel[] {
  return [...cameras.slice(0, 2).map((id) => ({ kind: 'camera' as const, id })), { kind: 'plot', names: [] }];
}

export function storedPanels(storage: Pick<Storage, 'getItem'>): Panel[] {
  try {
    return parsePanels(storage.getItem(KEY) ?? '');
  } catch {
    return [];
  }
}

export function storePanels(storage: Pick<Storage, 'setItem'>, panels: readonly Panel[]): void {
  try {
    storage.setItem(KEY, formatPanels(panels));
  } catch {
    // Storage may be blocked. The layout is still in the address.
  }
}

/** Returns the panels with one moved by `offset` places, or unchanged at the end of the list. */
export function movePanel(panels: readonly Panel[], from: number, offset: number): Panel[] {
  const to = from + offset;
  const panel = panels[from];
  if (!panel || to < 0 || to >= panels.length) return [...panels];
  const rest = panels.filter((_, index) => index !== from);
  return [...rest.slice(0, to), panel, ...rest.slice(to)];
}

/** Describes the difference between the cursor's time and a picture's. Both are ms since the epoch by the hub's clock. */
export function describeDifference(cursor: number, picture: number): string {
  const seconds = (cursor - picture) / 1000;
  const magnitude = Math.abs(seconds);
  if (magnitude < 0.0005) return 'at this picture';
  const amount =
    magnitude < 1
      ? `${Math.round(magnitude * 1000)} ms`
      : magnitude < 120
        ? `${magnitude.toFixed(1)} s`
        : `${Math.round(magnitude / 60)} min`;
  return `${amount} ${seconds < 0 ? 'before' : 'after'} this picture`;
}
