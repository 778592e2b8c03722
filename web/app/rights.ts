// The user's permissions, so that pages hide actions that the hub would refuse. The hub enforces them.
import type { Permissions } from './shapes.ts';

/** Whether a permission is held in `app`, in all apps if `app` is null, or in any app if it is omitted. */
export function may(own: Permissions, permission: string, app?: string | null): boolean {
  if (own.global.includes(permission)) return true;
  if (app === null) return false;
  if (app === undefined) return Object.values(own.apps).some((held) => held.includes(permission));
  return Object.hasOwn(own.apps, app) && (own.apps[app]?.includes(permission) ?? false);
}

/** Whether every permission that `wanted` covers is held. `wanted` may be `*` or `kind:*`. */
export function mayAll(own: Permissions, wanted: string, app: string | null): boolean {
  // Only admins have `user:write`, and admins have every permission.
  if (wanted === '*') return may(own, 'user:write', app);
  if (!wanted.endsWith(':*')) return may(own, wanted, app);
  const held = app === null ? own.global : (own.apps[app] ?? own.global);
  // In every role, the delete (or stop) permission of a kind comes with all its other permissions.
  return held.some((one) => one.startsWith(wanted.slice(0, -1)) && /:(delete|stop)$/.test(one));
}
