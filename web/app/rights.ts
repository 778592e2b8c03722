// The user's permissions, so that pages hide actions that the hub would refuse. The hub enforces them.
import type { Permissions } from './shapes.ts';

/** Whether the user has a permission in `app`, in all apps if `app` is null, or in any app if it is omitted. */
export function may(granted: Permissions, permission: string, app?: string | null): boolean {
  if (granted.global.includes(permission)) return true;
  if (app === null) return false;
  if (app === undefined) return Object.values(granted.apps).some((held) => held.includes(permission));
  return Object.hasOwn(granted.apps, app) && (granted.apps[app]?.includes(permission) ?? false);
}

/** Whether the user has every permission that `requested` covers. It may be `*` or `kind:*`. */
export function mayAll(granted: Permissions, requested: string, app: string | null): boolean {
  // Only admins have `user:write`, and admins have every permission.
  if (requested === '*') return may(granted, 'user:write', app);
  if (!requested.endsWith(':*')) return may(granted, requested, app);
  const held = app === null ? granted.global : (granted.apps[app] ?? granted.global);
  // In every role, the delete (or stop) permission of a kind comes with all its other permissions.
  return held.some((entry) => entry.startsWith(requested.slice(0, -1)) && /:(delete|stop)$/.test(entry));
}
