// Where the keyboard and a screen reader go on when what they were at is no longer there.

/** Puts the focus on the heading of what the page now shows. */
export function focusHeading(): void {
  const heading = document.querySelector<HTMLElement>('main .once h3, main h2');
  heading?.setAttribute('tabindex', '-1');
  heading?.focus();
}
