import { expect, test } from 'vitest';
import { may, mayAll } from './rights.ts';
import type { Permissions } from './shapes.ts';

const everything = ['app:read', 'camera:delete', 'camera:read', 'token:delete', 'token:create', 'user:write'];
const admin: Permissions = { global: everything, apps: { live: everything } };
const operator: Permissions = {
  global: [],
  apps: { live: [], yard: ['camera:delete', 'camera:read', 'stream:read'] },
};
const signedOut: Permissions = { global: [], apps: {} };

test('a global permission applies in every app, including unlisted ones', () => {
  expect(may(admin, 'user:write', null)).toBe(true);
  expect(may(admin, 'camera:delete', 'yard')).toBe(true);
});

test('a permission in one app applies neither in another app nor globally', () => {
  expect(may(operator, 'camera:delete', 'yard')).toBe(true);
  expect(may(operator, 'camera:delete')).toBe(true);
  expect(may(operator, 'camera:delete', 'live')).toBe(false);
  expect(may(operator, 'camera:delete', null)).toBe(false);
  expect(may(operator, 'camera:delete', 'constructor')).toBe(false);
});

test('a wildcard needs every permission of its kind, or all permissions', () => {
  expect(mayAll(operator, 'camera:*', 'yard')).toBe(true);
  expect(mayAll(operator, 'stream:*', 'yard')).toBe(false);
  expect(mayAll(operator, 'camera:*', 'live')).toBe(false);
  expect(mayAll(operator, '*', 'yard')).toBe(false);
  expect(mayAll(admin, '*', null)).toBe(true);
  expect(mayAll({ global: [], apps: { yard: everything } }, '*', 'yard')).toBe(true);
  expect(mayAll({ global: [], apps: { yard: everything } }, '*', null)).toBe(false);
  expect(mayAll(admin, 'token:*', 'yard')).toBe(true);
});

test('a user who is not signed in has no permissions', () => {
  expect(may(signedOut, 'camera:read')).toBe(false);
});
