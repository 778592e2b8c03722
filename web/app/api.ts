// The client for the hub's HTTP API. It unwraps the envelope and turns every failure into an ApiError with a readable
// message. The types of requests and responses are in shapes.ts.

import { sentence } from '../client/sentence.ts';

const BASE = '/api/v1/';
const SESSION_ENDED = 'You are no longer signed in. Sign in again.';
const HUB_UNREACHABLE = 'The hub does not answer. Check that it is running, then try again.';

/** A failed call. */
export class ApiError extends Error {
  /** The HTTP status; 0 if there was no response. */
  readonly status: number;
  /** The seconds in `Retry-After`, if the hub sent it. */
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Calls for which a 401 means a wrong password or code, not a missing session. */
const CREDENTIAL_PATHS = ['session', 'session/password', 'setup'];

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** The labels of the fields in forms, where they differ from the names in the API. */
const LABELS: Readonly<Record<string, string>> = {
  source: 'Address',
  substream: 'Low-resolution stream',
  interval: 'Fetch a picture every',
  'jpeg.fps': 'Pictures per second',
  'jpeg.width': 'Width in pixels',
  'jpeg.quality': 'Quality',
  identity: 'Device name',
  old: 'Current password',
  new: 'New password',
};

/** The page size for long lists. */
const PAGE_SIZE = 500;

interface Envelope<T> {
  readonly data: T;
  /** The length of the whole list, if the response is one page of it. */
  readonly total?: number;
}

/** Calls the API through `send`. Calls `signedOut` on a 401, except where it means a wrong password or code. */
export class ApiClient {
  readonly #send: typeof fetch;
  readonly #signedOut: () => void;

  constructor(send: typeof fetch, signedOut: () => void) {
    this.#send = send;
    this.#signedOut = signedOut;
  }

  async call<T>(method: Method, path: string, body?: unknown): Promise<T> {
    return (await this.#request<T>(method, path, body))?.data as T;
  }

  /** Returns a whole list, page by page. */
  async all<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    const separator = path.includes('?') ? '&' : '?';
    for (;;) {
      const envelope = await this.#request<T[]>(
        'GET',
        `${path}${separator}limit=${PAGE_SIZE}&offset=${items.length}`,
      );
      const page = envelope?.data ?? [];
      items.push(...page);
      if (page.length === 0 || items.length >= (envelope?.total ?? 0)) return items;
    }
  }

  async #request<T>(method: Method, path: string, body?: unknown): Promise<Envelope<T> | undefined> {
    const request: RequestInit = { method, cache: 'no-store', credentials: 'same-origin' };
    if (body !== undefined) {
      request.body = JSON.stringify(body);
      request.headers = { 'Content-Type': 'application/json' };
    }
    let response: Response;
    let envelope: unknown;
    try {
      response = await this.#send(BASE + path, request);
      const text = await response.text();
      envelope = text === '' ? undefined : parse(text);
    } catch {
      throw new ApiError(0, HUB_UNREACHABLE);
    }
    if (response.ok) return envelope as Envelope<T> | undefined;
    if (response.status === 401 && !CREDENTIAL_PATHS.includes(path)) {
      this.#signedOut();
      // The hub's message mentions tokens, which only programs use.
      throw new ApiError(401, SESSION_ENDED);
    }
    throw new ApiError(response.status, reason(response.status, envelope), retryAfterOf(response.headers));
  }
}

/** Escapes text for use as one segment of a path. */
export function encodeSegment(text: string): string {
  return encodeURIComponent(text);
}

/** Returns the message to show for an error. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof ApiError)) return 'Something went wrong on this page. Reload it and try again.';
  const { retryAfter } = error;
  // The hub's message gives the time in seconds; `formatWait` makes it readable.
  const message =
    retryAfter === undefined ? error.message : error.message.replace(/[;,.]? try again in \d+ s$/, '');
  // "source in the body: …" is meant for programs.
  const short = message.replace(/^(\S+) in the body:/, (_, field: string) => `${LABELS[field] ?? field}:`);
  const text = sentence(short);
  return retryAfter !== undefined ? `${text} Try again in ${formatWait(retryAfter)}.` : text;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function reason(status: number, envelope: unknown): string {
  const message =
    typeof envelope === 'object' && envelope !== null && 'message' in envelope ? envelope.message : undefined;
  if (typeof message === 'string' && message !== '') return message;
  // The response is not from the hub but, for example, from a proxy in front of it.
  return `The server answered with status ${status} and no reason. Check the connection to the hub and try again`;
}

function retryAfterOf(headers: Headers): number | undefined {
  const seconds = Number(headers.get('Retry-After') ?? 'none');
  return Number.isFinite(seconds) && seconds >= 0 ? Math.ceil(seconds) : undefined;
}

function formatWait(seconds: number): string {
  if (seconds <= 1) return '1 second';
  if (seconds < 90) return `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}
