// Chooses between a camera's main stream and its substream by the size of its picture on the screen. No DOM.
import type { StreamChoice, StreamInfo } from '../client/events.ts';

/**
 * A picture that is wider than this multiple of the substream gets the main stream, and keeps it until it is no wider
 * than the substream, so that resizing does not switch back and forth.
 */
const ENLARGEMENT = 1.1;

/** Whether the size of the picture decides: the camera has a substream of a known size. */
export function hasSubstream(streams: readonly StreamInfo[]): boolean {
  return widthOfSub(streams) !== undefined;
}

/** Returns the stream for a picture of `width` device pixels; `before` is the current one. */
export function chooseStream(
  streams: readonly StreamInfo[],
  width: number,
  before: StreamChoice | undefined,
): StreamChoice {
  const sub = widthOfSub(streams);
  if (sub === undefined) return 'sub';
  return width > sub * (before === 'main' ? 1 : ENLARGEMENT) ? 'main' : 'sub';
}

function widthOfSub(streams: readonly StreamInfo[]): number | undefined {
  return streams.find(({ name }) => name === 'sub')?.width;
}
