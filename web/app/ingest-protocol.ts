// What a page that pushes says to the hub and hears from it: docs/reference/ingest-protocol.md.

/** What the hub says when it takes frames. */
export interface Ready {
  readonly room: string;
  readonly maxFps: number;
  readonly maxFrameBytes: number;
}

/** A message of the hub's: that it takes frames, or why it does not. */
export type Told = { readonly ready: Ready } | { readonly refused: string };

export function parseTold(text: string): Told | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof message !== 'object' || message === null) return undefined;
  const { type, room, maxFps, maxFrameBytes, message: why } = message as Record<string, unknown>;
  if (type === 'error' && typeof why === 'string') return { refused: why };
  if (type !== 'ready' || typeof maxFps !== 'number' || typeof maxFrameBytes !== 'number') return undefined;
  return { ready: { room: typeof room === 'string' ? room : '', maxFps, maxFrameBytes } };
}

/** Where a key's device pushes. A page can't set headers, so the key stands in the address. */
export function ingestAddress(origin: string, app: string, room: string, key: string): string {
  const url = new URL('/ingest/ws', origin);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.search = new URLSearchParams({ app, room, key }).toString();
  return url.href;
}

export interface Ending {
  /** What a person is told. */
  readonly words: string;
  /** Seconds until it makes sense to come back; null if only a person can mend it. */
  readonly pause: number | null;
  /** The frames have to be smaller. */
  readonly smaller?: boolean;
}

/** What a close code means to whoever pushes. */
export function endingOf(code: number, told: string | undefined): Ending {
  const because = (words: string): string => (told === undefined ? words : sentence(told));
  switch (code) {
    case 4401:
      return { words: because('The key is wrong, or was revoked.'), pause: null };
    case 4409:
      return { words: 'Another device has this key now, and goes on in place of this one.', pause: null };
    case 1000:
      return { words: because('Somebody has stopped this camera.'), pause: null };
    case 4403:
      return { words: because('The hub takes no more cameras here.'), pause: 60 };
    case 4429:
      return { words: because('Too many wrong keys came from this address.'), pause: 60 };
    case 4413:
      return { words: 'The pictures were too large. They are made smaller.', pause: 1, smaller: true };
    case 4408:
      return { words: 'No picture had come for too long.', pause: 1 };
    case 1001:
      return { words: 'The hub stops.', pause: 2 };
    default:
      return { words: because('The hub is not reached.'), pause: 1 };
  }
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
