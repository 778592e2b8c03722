// Zooms and pans a plot with wheel, touch and double click. uPlot handles a mouse drag, which selects a range.

export interface Gestures {
  /** Multiplies the shown range by `factor`, around this position on the screen. */
  zoom(factor: number, clientX: number): void;
  /** Moves by a number of pixels; positive towards newer samples. */
  pan(pixels: number): void;
  /** Returns to the newest samples. */
  back(): void;
}

export function watchGestures(element: HTMLElement, gestures: Gestures): void {
  element.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (event.shiftKey || sideways) gestures.pan(event.deltaX || event.deltaY);
      else gestures.zoom(event.deltaY > 0 ? 1.25 : 0.8, event.clientX);
    },
    { passive: false },
  );
  element.addEventListener('dblclick', () => gestures.back());

  // One finger pans, two zoom; a mouse pans with Shift.
  const held = new Map<number, number>();
  const spread = (): number => {
    const [one = 0, other = 0] = [...held.values()];
    return Math.max(8, Math.abs(one - other));
  };
  const moves = (event: PointerEvent): boolean => event.pointerType === 'touch' || event.shiftKey;
  element.addEventListener('pointerdown', (event) => {
    if (moves(event) && held.size < 2) held.set(event.pointerId, event.clientX);
  });
  element.addEventListener(
    'mousedown',
    (event) => {
      // Otherwise uPlot would select a range as well.
      if (event.shiftKey) event.stopPropagation();
    },
    { capture: true },
  );
  element.addEventListener('pointermove', (event) => {
    const before = held.get(event.pointerId);
    if (before === undefined) return;
    const wide = spread();
    held.set(event.pointerId, event.clientX);
    if (held.size === 1) {
      gestures.pan(before - event.clientX);
      return;
    }
    const [one = 0, other = 0] = [...held.values()];
    gestures.zoom(wide / spread(), (one + other) / 2);
  });
  for (const end of ['pointerup', 'pointercancel', 'pointerleave'] as const)
    element.addEventListener(end, (event) => void held.delete(event.pointerId));
}
