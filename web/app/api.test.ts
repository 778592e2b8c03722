import { expect, test, vi } from 'vitest';
import { ApiClient, encodeSegment, ApiError, errorMessage } from './api.ts';

interface SentRequest {
  readonly url: string;
  readonly init: RequestInit;
}

/** A hub that returns the same response to every call. */
function hub(response: Response | Error) {
  const sent: SentRequest[] = [];
  const signedOut = vi.fn();
  const send = (url: string, init: RequestInit): Promise<Response> => {
    sent.push({ url, init });
    return response instanceof Error ? Promise.reject(response) : Promise.resolve(response.clone());
  };
  const caller = new ApiClient(send as typeof fetch, signedOut);
  return { sent, signedOut, call: caller.call.bind(caller), all: caller.all.bind(caller) };
}

const refusal = (statusCode: number, message: string, headers?: HeadersInit): Response =>
  new Response(JSON.stringify({ statusCode, message, error: 'x' }), {
    status: statusCode,
    ...(headers && { headers }),
  });

async function failureOf(promise: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof ApiError)) throw new Error('the call succeeded');
  return error;
}

test('call returns the data of the envelope and sends a body as JSON', async () => {
  const { call, sent } = hub(new Response('{"data":{"id":"a"},"error":null}', { status: 201 }));
  expect(await call('POST', 'apps', { name: 'a' })).toEqual({ id: 'a' });
  expect(sent[0]?.url).toBe('/api/v1/apps');
  expect(sent[0]?.init).toMatchObject({
    method: 'POST',
    body: '{"name":"a"}',
    credentials: 'same-origin',
    headers: { 'Content-Type': 'application/json' },
  });
});

test('a call without a body has no content type, and an empty response is accepted', async () => {
  const { call, sent } = hub(new Response(null, { status: 204 }));
  expect(await call('DELETE', 'session')).toBeUndefined();
  expect(sent[0]?.init).not.toHaveProperty('body');
  expect(sent[0]?.init).not.toHaveProperty('headers');
});

test('a refused call throws with the message from the hub', async () => {
  const { call, signedOut } = hub(refusal(409, 'app "yard" already exists'));
  const failure = await failureOf(call('POST', 'apps', {}));
  expect(failure.status).toBe(409);
  expect(errorMessage(failure)).toBe('App “yard” already exists.');
  expect(signedOut).not.toHaveBeenCalled();
});

test('an invalid field is named without its location', async () => {
  const { call } = hub(refusal(400, 'name in the body: it takes 1 to 64 characters'));
  expect(errorMessage(await failureOf(call('POST', 'users', {})))).toBe('Name: it takes 1 to 64 characters.');
  const address = hub(refusal(400, 'source in the body: it is too long'));
  expect(errorMessage(await failureOf(address.call('POST', 'cameras', {})))).toBe('Address: it is too long.');
});

test('a response that is not JSON is reported with its status', async () => {
  const page = new Response('<h1>Bad gateway</h1>', { status: 502 });
  expect(errorMessage(await failureOf(hub(page).call('GET', 'apps')))).toContain('502');
});

test('an unreachable hub throws an ApiError', async () => {
  const failure = await failureOf(hub(new TypeError('Failed to fetch')).call('GET', 'apps'));
  expect(failure.status).toBe(0);
  expect(errorMessage(failure)).toMatch(/does not answer/);
});

test('a 401 ends the session, except for a wrong password or code', async () => {
  const expired = hub(refusal(401, 'sign in'));
  expect(errorMessage(await failureOf(expired.call('GET', 'users')))).toMatch(/no longer signed in/);
  expect(expired.signedOut).toHaveBeenCalledOnce();
  const wrong = hub(refusal(401, 'wrong'));
  await failureOf(wrong.call('POST', 'session', {}));
  expect(wrong.signedOut).not.toHaveBeenCalled();
  const code = hub(refusal(401, 'the code has expired'));
  await failureOf(code.call('POST', 'setup', {}));
  expect(code.signedOut).not.toHaveBeenCalled();
  const list = hub(refusal(401, 'sign in'));
  await failureOf(list.call('GET', 'sessions'));
  expect(list.signedOut).toHaveBeenCalledOnce();
});

test.each([
  ['1', 'in 1 second.'],
  ['40', 'in 40 seconds.'],
  ['90', 'in 2 minutes.'],
  ['840.2', 'in 15 minutes.'],
])('a Retry-After of %s seconds is shown as "%s"', async (seconds, expected) => {
  const failure = await failureOf(
    hub(refusal(429, 'too many attempts; try again in 7 s', { 'Retry-After': seconds })).call('GET', 'apps'),
  );
  expect(errorMessage(failure)).toBe(`Too many attempts. Try again ${expected}`);
});

test('a 429 without Retry-After, or with a date, shows the message unchanged', async () => {
  expect(errorMessage(await failureOf(hub(refusal(429, 'too many attempts')).call('GET', 'apps')))).toBe(
    'Too many attempts.',
  );
  const withDate = refusal(429, 'slower', { 'Retry-After': 'Wed, 21 Oct 2026 07:28:00 GMT' });
  expect(errorMessage(await failureOf(hub(withDate).call('GET', 'apps')))).toBe('Slower.');
});

test('an internal error of the page is not shown', () => {
  expect(errorMessage(new TypeError('x is undefined'))).not.toContain('undefined');
});

test('encodeSegment escapes every delimiter of an address', () => {
  expect(encodeSegment('yard/cam 1?x#y')).toBe('yard%2Fcam%201%3Fx%23y');
});

test('all joins the pages of a list', async () => {
  const items = Array.from({ length: 1200 }, (_, index) => index);
  const requested: string[] = [];
  const send = (path: string): Promise<Response> => {
    requested.push(path);
    const { searchParams } = new URL(path, 'http://hub');
    const offset = Number(searchParams.get('offset'));
    const data = items.slice(offset, offset + Number(searchParams.get('limit')));
    return Promise.resolve(Response.json({ data, error: null, total: items.length }));
  };
  expect(await new ApiClient(send as typeof fetch, vi.fn()).all('tokens')).toEqual(items);
  expect(requested).toHaveLength(3);
});

test('all requests a short list, or a list without a total, once', async () => {
  for (const total of [{ total: 2 }, {}, { total: 9 }]) {
    const { all, sent } = hub(Response.json({ data: [], error: null, ...total }));
    expect(await all('tokens')).toEqual([]);
    expect(sent).toHaveLength(1);
  }
});
