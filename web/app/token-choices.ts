// What a token may be given, and of that what whoever makes it has themselves.
import { mayAll } from './rights.ts';
import type { Permissions } from './shapes.ts';

export type Choice = readonly [permission: string, meaning: string];

// Of each kind what programs want of it: to look, to do all, and of series also to write and no more.
export const CHOICES: readonly Choice[] = [
  ['camera:read', 'See cameras'],
  ['camera:*', 'Add, change, share and delete cameras'],
  ['ingress:*', 'Give boards that push their keys'],
  ['series:read', 'See series'],
  ['series:write', 'Write and rename series'],
  ['series:*', 'See, write, change and delete series'],
  ['stream:read', 'See streams'],
  ['stream:*', 'See and stop streams'],
  ['app:read', 'See apps'],
  ['app:*', 'Make, change and delete apps'],
  ['token:*', 'Make and revoke tokens'],
  ['user:read', 'See people'],
  ['user:*', 'Invite, change and delete people'],
  ['session:*', 'See where people are signed in, and sign them out'],
  ['*', 'Everything'],
];

/** The choices for a token of `app`, or of all apps if that is null. */
export function choicesFor(own: Permissions, app: string | null): Choice[] {
  return CHOICES.filter(([permission]) => reaches(permission, app) && mayAll(own, permission, app));
}

/** Whether a token of `app` could use it there: people are the hub's, series are app live's. */
function reaches(permission: string, app: string | null): boolean {
  if (app === null) return true;
  if (/^(user|session):/.test(permission)) return false;
  return app === 'live' || !permission.startsWith('series:');
}
