// The messages of the ingest protocol, for a page that acts as a device: docs/reference/ingest-protocol.md.
import { sentence } from '../client/sentence.ts';

/** The `ready` message: the hub accepts frames within these limits. */
export interface Ready {
  readonly room: string;
  readonly maxFps: number;
  readonly maxFrameBytes: number;
}

/** A message from the hub: that it accepts frames, or the reason for a refusal. */
export type HubMessage = { readonly ready: Ready } | { readonly refused: string };

export function parseHubMessage(text: string): HubMessage | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof message !== 'object' || message === null) return undefined;
  const { type, room, maxFps, maxFrameBytes, message: reason } = message as Record<string, unknown>;
  if (type === 'error' && typeof reason === 'string') return { refused: reason };
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
  readonly text: string;
  /** Seconds to wait before reconnecting; null if the user has to act first. */
  readonly retrySeconds: number | null;
  /** Whether the frames must be smaller. */
  readonly reduceSize?: boolean;
}

/** Returns what a close code means for the publisher. `message` is the hub's error message, if it sent one. */
export function explainClose(code: number, message: string | undefined): CloseReason {
  const messageOr = (text: string): string => (message === undefined ? text : sentence(message));
  switch (code) {
    case 4401:
      return {
        text: `${messageOr('The key is wrong or was revoked.')} Create a new key in Settings → Devices.`,
        retrySeconds: null,
      };
    case 4409:
      return {
        text: 'Another device now uses this key, so this one was disconnected. Create a separate key for each device in Settings → Devices.',
        retrySeconds: null,
      };
    case 1000:
      return { text: messageOr('This camera was stopped at the hub.'), retrySeconds: null };
    case 4403:
      return { text: messageOr('The hub accepts no more cameras in this app.'), retrySeconds: 60 };
    case 4429:
      return { text: messageOr('Too many attempts with wrong keys from this address.'), retrySeconds: 60 };
    case 4413:
      return {
        text: 'The pictures were too large. They will be smaller.',
        retrySeconds: 1,
        reduceSize: true,
      };
    case 4408:
      return { text: 'The hub received no picture for too long.', retrySeconds: 1 };
    case 1001:
      return { text: 'The hub is shutting down.', retrySeconds: 2 };
    default:
      return { text: messageOr('The hub cannot be reached.'), retrySeconds: 1 };
  }
}
