import { expect, test } from 'vitest';
import { appsFor, may } from './rights.ts';
import type { Grant } from './shapes.ts';

const admin: Grant[] = [{ app: null, permissions: ['*'] }];
const operator: Grant[] = [{ app: 'yard', permissions: ['camera:*', 'ingress:read'] }];

test('an admin may everything everywhere', () => {
  expect(may(admin, 'user:create', null)).toBe(true);
  expect(may(admin, 'camera:write', 'yard')).toBe(true);
});

test('a right in one app is none in another, nor in all', () => {
  expect(may(operator, 'camera:create', 'yard')).toBe(true);
  expect(may(operator, 'camera:create')).toBe(true);
  expect(may(operator, 'camera:create', 'live')).toBe(false);
  expect(may(operator, 'camera:create', null)).toBe(false);
  expect(appsFor(operator, 'camera:create', ['live', 'yard'])).toEqual(['yard']);
});

test('a star stands for its own kind alone', () => {
  expect(may(operator, 'ingress:read')).toBe(true);
  expect(may(operator, 'ingress:create')).toBe(false);
  expect(may([{ app: null, permissions: ['app:*'] }], 'apps:read')).toBe(false);
});

test('whoever is not signed in may nothing', () => {
  expect(may([], 'camera:read')).toBe(false);
});
