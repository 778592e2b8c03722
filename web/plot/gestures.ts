// Zooms and pans a plot with wheel, touch and double click. uPlot handles a mouse drag, which selects a range.

export interface Gestures {
  /** Multiplies the shown range by `factor`, around this position on the screen. */
  zoom(factor: number, clientX: number): void;
  /** Moves by a number of pixels; positive towards newer samples. */
  pan(pixels: number): void;
  /** Returns to the newest samples. */
  showNewest(): void;
}

export function watchGestures(element: HTMLElement, gestures: Gestures): void {
  element.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      const horizontal = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (event.shiftKey || horizontal) gestures.pan(event.deltaX || event.deltaY);
      else gestures.zoom(event.deltaY > 0 ? 1.25 : 0.8, event.clientX);
    },
    { passive: false },
  );
  element.addEventListener('dblclick', () => gestures.showNewest());

  // One finger pans, two zoom; a mouse pans with Shift.
  const pointers = new Map<number, number>();
  const distance = (): number => {
    const [first = 0, second = 0] = [...pointers.values()];
    return Math.max(8, Math.abs(first - second));
  };
  const pans = (event: PointerEvent): boolean => event.pointerType === 'touch' || event.shiftKey;
  element.addEventListener('pointerdown', (event) => {
    if (pans(event) && pointers.size < 2) pointers.set(event.pointerId, event.clientX);
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
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const previousDistance = distance();
    pointers.set(event.pointerId, event.clientX);
    if (pointers.size === 1) {
      gestures.pan(before - event.clientX);
      return;
    }
    const [first = 0, second = 0] = [...pointers.values()];
    gestures.zoom(previousDistance / distance(), (first + second) / 2);
  });
  for (const end of ['pointerup', 'pointercancel', 'pointerleave'] as const)
    element.addEventListener(end, (event) => void pointers.delete(event.pointerId));
}
