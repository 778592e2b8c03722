import { expect, test, vi } from 'vitest';
import { Caller, part, Problem, words } from './api.ts';

interface Sent {
  readonly url: string;
  readonly init: RequestInit;
}

/** A hub that answers every call the same. */
function hub(answer: Response | Error) {
  const sent: Sent[] = [];
  const signedOut = vi.fn();
  const send = (url: string, init: RequestInit): Promise<Response> => {
    sent.push({ url, init });
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer.clone());
  };
  const caller = new Caller(send as typeof fetch, signedOut);
  return { sent, signedOut, call: caller.call.bind(caller), all: caller.all.bind(caller) };
}

const refusal = (statusCode: number, message: string, headers?: HeadersInit): Response =>
  new Response(JSON.stringify({ statusCode, message, error: 'x' }), {
    status: statusCode,
    ...(headers && { headers }),
  });

async function problem(promise: Promise<unknown>): Promise<Problem> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof Problem)) throw new Error('it came to its end');
  return error;
}

test('the envelope is opened, and a body goes out as JSON', async () => {
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

test('a call without a body says nothing of one, and an empty answer is no fault', async () => {
  const { call, sent } = hub(new Response(null, { status: 204 }));
  expect(await call('DELETE', 'session')).toBeUndefined();
  expect(sent[0]?.init).not.toHaveProperty('body');
  expect(sent[0]?.init).not.toHaveProperty('headers');
});

test('a refusal is a problem in the words of the hub', async () => {
  const { call, signedOut } = hub(refusal(409, 'app "yard" already exists'));
  const fault = await problem(call('POST', 'apps', {}));
  expect(fault.status).toBe(409);
  expect(words(fault)).toBe('App "yard" already exists.');
  expect(signedOut).not.toHaveBeenCalled();
});

test('a field that is at fault is named without the rest of its address', async () => {
  const { call } = hub(refusal(400, 'name in the body: it takes 1 to 64 characters'));
  expect(words(await problem(call('POST', 'users', {})))).toBe('Name: it takes 1 to 64 characters.');
});

test('what is no JSON of ours is told by its status', async () => {
  const page = new Response('<h1>Bad gateway</h1>', { status: 502 });
  expect(words(await problem(hub(page).call('GET', 'apps')))).toContain('502');
});

test('a hub that does not answer is a problem like any other', async () => {
  const fault = await problem(hub(new TypeError('Failed to fetch')).call('GET', 'apps'));
  expect(fault.status).toBe(0);
  expect(words(fault)).toMatch(/does not answer/);
});

test('a 401 is a lost session, except where it is a wrong password or code', async () => {
  const lost = hub(refusal(401, 'sign in'));
  expect(words(await problem(lost.call('GET', 'users')))).toMatch(/not signed in any more/);
  expect(lost.signedOut).toHaveBeenCalledOnce();
  const wrong = hub(refusal(401, 'wrong'));
  await problem(wrong.call('POST', 'session', {}));
  expect(wrong.signedOut).not.toHaveBeenCalled();
  const code = hub(refusal(401, 'the code has expired'));
  await problem(code.call('POST', 'setup', {}));
  expect(code.signedOut).not.toHaveBeenCalled();
  const list = hub(refusal(401, 'sign in'));
  await problem(list.call('GET', 'sessions'));
  expect(list.signedOut).toHaveBeenCalledOnce();
});

test.each([
  ['1', 'in a second.'],
  ['40', 'in 40 seconds.'],
  ['90', 'in 2 minutes.'],
  ['840.2', 'in 15 minutes.'],
])('after %s seconds it can be tried again: %s', async (seconds, said) => {
  const fault = await problem(
    hub(refusal(429, 'too many attempts; try again in 7 s', { 'Retry-After': seconds })).call('GET', 'apps'),
  );
  expect(words(fault)).toBe(`Too many attempts. Try again ${said}`);
});

test('a 429 that does not say when, or says it as a date, is told as it is', async () => {
  expect(words(await problem(hub(refusal(429, 'too many attempts')).call('GET', 'apps')))).toBe(
    'Too many attempts.',
  );
  const dated = refusal(429, 'slower', { 'Retry-After': 'Wed, 21 Oct 2026 07:28:00 GMT' });
  expect(words(await problem(hub(dated).call('GET', 'apps')))).toBe('Slower.');
});

test('a mistake of the page is not shown as its stack', () => {
  expect(words(new TypeError('x is undefined'))).not.toContain('undefined');
});

test('a part of an address cannot leave its place', () => {
  expect(part('yard/cam 1?x#y')).toBe('yard%2Fcam%201%3Fx%23y');
});

test('a list that comes in parts is put together', async () => {
  const items = Array.from({ length: 1200 }, (_, index) => index);
  const asked: string[] = [];
  const send = (path: string): Promise<Response> => {
    asked.push(path);
    const { searchParams } = new URL(path, 'http://hub');
    const offset = Number(searchParams.get('offset'));
    const data = items.slice(offset, offset + Number(searchParams.get('limit')));
    return Promise.resolve(Response.json({ data, error: null, total: items.length }));
  };
  expect(await new Caller(send as typeof fetch, vi.fn()).all('tokens')).toEqual(items);
  expect(asked).toHaveLength(3);
});

test('a list that is short, or that says no total, is asked for once', async () => {
  for (const total of [{ total: 2 }, {}, { total: 9 }]) {
    const { all, sent } = hub(Response.json({ data: [], error: null, ...total }));
    expect(await all('tokens')).toEqual([]);
    expect(sent).toHaveLength(1);
  }
});
