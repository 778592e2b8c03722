// Stores the camera that fills the window in the page's hash. A reload keeps it, and Back returns to the wall.

export function readSolo(): string | undefined {
  const name = location.hash.slice(1);
  if (name === '') return undefined;
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

/** Opening a camera from the wall adds a history entry; switching between cameras does not. */
export function writeSolo(camera: string | undefined): void {
  if (camera === readSolo()) return;
  const address = `${location.pathname}${location.search}${camera === undefined ? '' : `#${encodeURIComponent(camera)}`}`;
  // Keep the state: it may contain the token of a wall link.
  if (camera !== undefined && location.hash === '') history.pushState(history.state, '', address);
  else history.replaceState(history.state, '', address);
}
