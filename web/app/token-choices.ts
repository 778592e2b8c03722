// The permissions offered for a new token: a selection, limited to the permissions of its creator.
import { mayAll } from './rights.ts';
import type { Permissions } from './shapes.ts';

export type Choice = readonly [permission: string, meaning: string];

// For each kind, the permissions that programs need: read, everything, and for series also write without delete.
export const CHOICES: readonly Choice[] = [
  ['camera:read', 'See cameras'],
  ['camera:*', 'Add, change, share and delete cameras'],
  ['ingress:*', 'Create and revoke device keys'],
  ['series:read', 'See series'],
  ['series:write', 'Send and change series'],
  ['series:*', 'See, send, change and delete series'],
  ['stream:read', 'See which devices send pictures'],
  ['stream:*', 'See and stop devices that send pictures'],
  ['app:read', 'See apps'],
  ['app:*', 'Create, change and delete apps'],
  ['token:*', 'Create and revoke tokens'],
  ['user:read', 'See users'],
  ['user:*', 'Add, change and delete users'],
  ['session:*', 'See where users are signed in, and sign them out'],
  ['*', 'Everything'],
];

/** Describes a permission in words if it is one of the choices. */
export const meaningOf = (permission: string): string =>
  CHOICES.find(([choice]) => choice === permission)?.[1] ?? permission;

/** Returns the choices for a token of `app`, or of all apps if it is null. */
export function choicesFor(granted: Permissions, app: string | null): Choice[] {
  return CHOICES.filter(([permission]) => appliesTo(permission, app) && mayAll(granted, permission, app));
}

/** Whether a permission has an effect in `app`. Users belong to the whole hub, series to the app "live". */
function appliesTo(permission: string, app: string | null): boolean {
  if (app === null) return true;
  if (/^(user|session):/.test(permission)) return false;
  return app === 'live' || !permission.startsWith('series:');
}
