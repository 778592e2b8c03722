import { expect, test } from 'vitest';
import { backFrom, hashOf, placeIn, secretIn, signInFor, withName, type Place } from './addresses.ts';

const HUB = 'http://hub.lan:8080';

test('signing in leads back to a place of this hub', () => {
  expect(backFrom('', HUB)).toBe(`${HUB}/`);
  expect(backFrom('?back=%2Fsettings%23people', HUB)).toBe(`${HUB}/settings#people`);
  expect(backFrom('?back=%2F%3Ftoken%3Da%23cam1', HUB)).toBe(`${HUB}/?token=a#cam1`);
});

test.each([
  'https://evil.example/',
  '//evil.example/',
  '/\\evil.example',
  '/\t/evil.example',
  'javascript:alert(1)',
  'http://hub.lan:8080@evil.example/',
  'http://hub.lan:81/',
  'data:text/html,x',
  'http://[',
  '/sign-in?back=/sign-in',
])('but never to %j', (wanted) => {
  expect(backFrom(`?back=${encodeURIComponent(wanted)}`, HUB)).toBe(`${HUB}/`);
});

test('nor to a path that reads as another host', () => {
  for (const wanted of ['/.//evil.example', '/x/..//evil.example'])
    expect(new URL(backFrom(`?back=${encodeURIComponent(wanted)}`, HUB), HUB).origin).toBe(HUB);
  expect(backFrom('?back=/.//evil.example', HUB)).toMatch(/^http:\/\/hub\.lan:8080\//);
});

test('the address of the sign-in page says where one came from, and is understood', () => {
  expect(signInFor({ pathname: '/', search: '', hash: '' })).toBe('/sign-in');
  const made = signInFor({ pathname: '/settings', search: '', hash: '#cameras/edit/yard%2Fcam1' });
  expect(backFrom(new URL(made, HUB).search, HUB)).toBe(`${HUB}/settings#cameras/edit/yard%2Fcam1`);
});

test('a secret is read from its own name alone', () => {
  expect(secretIn('#code=AB-12', 'code')).toBe('AB-12');
  expect(secretIn('#code=a%2Bb=', 'code')).toBe('a+b=');
  const { hash } = new URL(withName('http://hub/sign-in#code=AB-12', 'a&code=b'));
  expect([secretIn(hash, 'code'), secretIn(hash, 'name')]).toEqual(['AB-12', 'a&code=b']);
  for (const hash of ['', '#', '#code', '#code=', '#codex=1', '#wall=1', '#code=%']) {
    expect(secretIn(hash, 'code')).toBeUndefined();
  }
});

test.each<[string, Place]>([
  ['#cameras', { panel: 'cameras', step: { kind: 'list' } }],
  ['#cameras/add', { panel: 'cameras', step: { kind: 'add' } }],
  ['#cameras/edit/yard%2Fadd', { panel: 'cameras', step: { kind: 'edit', id: 'yard/add' } }],
])('%s is a place, and the place is written so', (hash, place) => {
  expect(placeIn(hash)).toEqual(place);
  expect(hashOf(place)).toBe(hash);
});

test.each([
  '',
  '#',
  '#Cameras',
  '#cameras/',
  '#cameras/add/x',
  '#cameras/edit',
  '#cameras/edit/%',
  '#a/b/c/d',
])('%j is no place', (hash) => {
  expect(placeIn(hash)).toBeUndefined();
});
