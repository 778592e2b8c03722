// Moves the focus when the focused element was removed.

/** Focuses the heading of the current view. */
export function focusHeading(): void {
  const heading = document.querySelector<HTMLElement>('main .new-secret h3, main h2');
  heading?.setAttribute('tabindex', '-1');
  heading?.focus();
}
