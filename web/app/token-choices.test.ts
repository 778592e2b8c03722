import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Permissions } from './shapes.ts';
import { CHOICES, choicesFor } from './token-choices.ts';

const hub = readFileSync(new URL('../../crates/ocelli/src/auth/permission.rs', import.meta.url), 'utf8');
const list = /PERMISSIONS: &\[&str\] = &\[(.*?)\];/s.exec(hub)?.[1] ?? '';
const known = [...list.matchAll(/"(.+?)"/g)].map(([, permission]) => permission ?? '');
const kindOf = (permission: string): string => permission.split(':')[0] ?? '';
const offered = (granted: Permissions, app: string | null): string[] =>
  choicesFor(granted, app).map(([permission]) => permission);

const admin: Permissions = { global: known, apps: { live: known, yard: known } };
const writer: Permissions = { global: [], apps: { live: ['series:write', 'token:create'] } };

test('the choices cover every kind of permission and contain only existing permissions', () => {
  expect(known).toContain('series:write');
  const choices = CHOICES.map(([permission]) => permission);
  for (const permission of known) expect(choices).toContain(`${kindOf(permission)}:*`);
  for (const choice of choices.filter((permission) => !permission.endsWith('*')))
    expect(known).toContain(choice);
});

test('a global admin is offered every permission, and for one app those that apply to it', () => {
  expect(offered(admin, null)).toEqual(CHOICES.map(([permission]) => permission));
  expect(offered(admin, 'live')).toContain('series:*');
  expect(offered(admin, 'yard').map(kindOf)).not.toContain('series');
  expect(offered(admin, 'yard').map(kindOf)).not.toContain('user');
  expect(offered(admin, 'yard')).toContain('camera:*');
});

test('a user is offered only permissions they hold', () => {
  expect(offered(writer, 'live')).toEqual(['series:write']);
});
