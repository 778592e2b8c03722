// The hub's HTTP interface as these pages call it: the envelope opened, and whatever goes wrong as one kind of error
// whose message is for people. What the calls give and take stands in shapes.ts.

const BASE = '/api/v1/';
const ENDED = 'You are not signed in any more. Sign in again.';
const UNREACHED = 'The hub does not answer. Try again when it is running.';

/** A call that did not come to its end. */
export class Problem extends Error {
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Seconds until it makes sense to try again, if the hub said so. */
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Where a 401 speaks of a password or a code, not of the session. */
const OPENERS = ['session', 'session/password', 'setup'];

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** The most that a call gives of a long list. */
const PAGE = 500;

interface Answer<T> {
  readonly data: T;
  /** How many there are in all, where only a part of a list was given. */
  readonly total?: number;
}

/** Calls through `send`. `signedOut` hears of a 401, except of those calls where it means a wrong password. */
export class Caller {
  readonly #send: typeof fetch;
  readonly #signedOut: () => void;

  constructor(send: typeof fetch, signedOut: () => void) {
    this.#send = send;
    this.#signedOut = signedOut;
  }

  async call<T>(method: Method, path: string, body?: unknown): Promise<T> {
    return (await this.#ask<T>(method, path, body))?.data as T;
  }

  /** The whole of a list, however long it is. */
  async all<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    const window = path.includes('?') ? '&' : '?';
    for (;;) {
      const answer = await this.#ask<T[]>('GET', `${path}${window}limit=${PAGE}&offset=${items.length}`);
      const more = answer?.data ?? [];
      items.push(...more);
      if (more.length === 0 || items.length >= (answer?.total ?? 0)) return items;
    }
  }

  async #ask<T>(method: Method, path: string, body?: unknown): Promise<Answer<T> | undefined> {
    const request: RequestInit = { method, cache: 'no-store', credentials: 'same-origin' };
    if (body !== undefined) {
      request.body = JSON.stringify(body);
      request.headers = { 'Content-Type': 'application/json' };
    }
    let response: Response;
    let answer: unknown;
    try {
      response = await this.#send(BASE + path, request);
      const text = await response.text();
      answer = text === '' ? undefined : parse(text);
    } catch {
      throw new Problem(0, UNREACHED);
    }
    if (response.ok) return answer as Answer<T> | undefined;
    if (response.status === 401 && !OPENERS.includes(path)) {
      this.#signedOut();
      // The hub tells programs about tokens; a person signs in.
      throw new Problem(401, ENDED);
    }
    throw new Problem(response.status, reason(response.status, answer), wait(response.headers));
  }
}

/** A part of an address, whatever it holds. */
export function part(text: string): string {
  return encodeURIComponent(text);
}

/** What to tell a person of any error. */
export function words(error: unknown): string {
  if (!(error instanceof Problem)) return 'This page made a mistake. Reload it and try again.';
  const { retryAfter } = error;
  // The hub counts in seconds; people do not.
  const message =
    retryAfter === undefined ? error.message : error.message.replace(/[;,.]? try again in \d+ s$/, '');
  // Fields are named as programs know them.
  const told = message.replace(' in the body:', ':');
  // Sentences of the interface begin small, as parts of a line in a log.
  const sentence = told.charAt(0).toUpperCase() + told.slice(1);
  const ended = /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
  return retryAfter !== undefined ? `${ended} Try again in ${lasting(retryAfter)}.` : ended;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function reason(status: number, answer: unknown): string {
  const message =
    typeof answer === 'object' && answer !== null && 'message' in answer ? answer.message : undefined;
  if (typeof message === 'string' && message !== '') return message;
  // Not our words, then: something between this page and the hub has spoken.
  return `The answer was ${status}, without a reason`;
}

function wait(headers: Headers): number | undefined {
  const seconds = Number(headers.get('Retry-After') ?? 'none');
  return Number.isFinite(seconds) && seconds >= 0 ? Math.ceil(seconds) : undefined;
}

function lasting(seconds: number): string {
  if (seconds <= 1) return 'a second';
  if (seconds < 90) return `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}
