// The messages of the ingest protocol, for a page that pushes: docs/reference/ingest-protocol.md.

/** The hub accepts frames, with these limits. */
export interface Ready {
  readonly room: string;
  readonly maxFps: number;
  readonly maxFrameBytes: number;
}

/** A message from the hub: it accepts frames, or the reason why it does not. */
export type HubMessage = { readonly ready: Ready } | { readonly refused: string };

export function parseHubMessage(text: string): HubMessage | undefined {
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

/** Returns the address to push to. The key is in the query, because a page cannot set headers on a WebSocket. */
export function ingestAddress(origin: string, app: string, room: string, key: string): string {
  const url = new URL('/ingest/ws', origin);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.search = new URLSearchParams({ app, room, key }).toString();
  return url.href;
}

export interface CloseReason {
  /** The text to show. */
  readonly words: string;
  /** Seconds to wait before reconnecting; null if the user has to act first. */
  readonly pause: number | null;
  /** Whether the frames must be smaller. */
  readonly smaller?: boolean;
}

/** Returns what a close code means for the publisher. `message` is the hub's error message, if it sent one. */
export function explainClose(code: number, message: string | undefined): CloseReason {
  const because = (words: string): string => (message === undefined ? words : sentence(message));
  switch (code) {
    case 4401:
      return {
        words: because('The key is wrong or was revoked. Create a new one in Settings → Devices.'),
        pause: null,
      };
    case 4409:
      return {
        words:
          'Another device is using this key and has replaced this one. Use a separate key for each device.',
        pause: null,
      };
    case 1000:
      return { words: because('This camera was stopped on the hub.'), pause: null };
    case 4403:
      return { words: because('The hub accepts no more cameras in this app.'), pause: 60 };
    case 4429:
      return { words: because('Too many attempts with wrong keys from this address.'), pause: 60 };
    case 4413:
      return { words: 'The pictures were too large. They are sent smaller now.', pause: 1, smaller: true };
    case 4408:
      return { words: 'The hub received no picture for too long.', pause: 1 };
    case 1001:
      return { words: 'The hub is shutting down.', pause: 2 };
    default:
      return { words: because('The hub cannot be reached.'), pause: 1 };
  }
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
