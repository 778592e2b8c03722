import { expect, test } from 'vitest';
import {
  returnAddress,
  formatHash,
  parseHash,
  hashParameter,
  signInAddress,
  withName,
  type PanelHash,
} from './addresses.ts';

const HUB = 'http://hub.lan:8080';

test('signing in returns to a page of this hub', () => {
  expect(returnAddress('', HUB)).toBe(`${HUB}/`);
  expect(returnAddress('?back=%2Fsettings%23people', HUB)).toBe(`${HUB}/settings#people`);
  expect(returnAddress('?back=%2F%3Ftoken%3Da%23cam1', HUB)).toBe(`${HUB}/?token=a#cam1`);
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
])('signing in never returns to %j', (requested) => {
  expect(returnAddress(`?back=${encodeURIComponent(requested)}`, HUB)).toBe(`${HUB}/`);
});

test('signing in never returns to a path that parses as another host', () => {
  for (const requested of ['/.//evil.example', '/x/..//evil.example'])
    expect(new URL(returnAddress(`?back=${encodeURIComponent(requested)}`, HUB), HUB).origin).toBe(HUB);
  expect(returnAddress('?back=/.//evil.example', HUB)).toMatch(/^http:\/\/hub\.lan:8080\//);
});

test('the address of the sign-in page includes the return address', () => {
  expect(signInAddress({ pathname: '/', search: '', hash: '' })).toBe('/sign-in');
  const address = signInAddress({ pathname: '/settings', search: '', hash: '#cameras/edit/yard%2Fcam1' });
  expect(returnAddress(new URL(address, HUB).search, HUB)).toBe(`${HUB}/settings#cameras/edit/yard%2Fcam1`);
});

test('a hash parameter is read by its exact name', () => {
  expect(hashParameter('#code=AB-12', 'code')).toBe('AB-12');
  expect(hashParameter('#code=a%2Bb=', 'code')).toBe('a+b=');
  const { hash } = new URL(withName('http://hub/sign-in#code=AB-12', 'a&code=b'));
  expect([hashParameter(hash, 'code'), hashParameter(hash, 'name')]).toEqual(['AB-12', 'a&code=b']);
  for (const hash of ['', '#', '#code', '#code=', '#codex=1', '#wall=1', '#code=%']) {
    expect(hashParameter(hash, 'code')).toBeUndefined();
  }
});

test.each<[string, PanelHash]>([
  ['#cameras', { panel: 'cameras', step: { kind: 'list' } }],
  ['#cameras/add', { panel: 'cameras', step: { kind: 'add' } }],
  ['#cameras/edit/yard%2Fadd', { panel: 'cameras', step: { kind: 'edit', id: 'yard/add' } }],
])('%s is parsed and formatted', (hash, parsed) => {
  expect(parseHash(hash)).toEqual(parsed);
  expect(formatHash(parsed)).toBe(hash);
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
])('%j is rejected', (hash) => {
  expect(parseHash(hash)).toBeUndefined();
});
