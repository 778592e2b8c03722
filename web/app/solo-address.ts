// The camera that is shown alone, in the page's address: a reload keeps it, and Back leads to the wall.

export function readSolo(): string | undefined {
  const name = location.hash.slice(1);
  if (name === '') return undefined;
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

/** From the wall to a camera is a step that Back undoes; from one camera to the next is not. */
export function writeSolo(camera: string | undefined): void {
  if (camera === readSolo()) return;
  const address = `${location.pathname}${location.search}${camera === undefined ? '' : `#${encodeURIComponent(camera)}`}`;
  // The state may hold what opens this wall.
  if (camera !== undefined && location.hash === '') history.pushState(history.state, '', address);
  else history.replaceState(history.state, '', address);
}
