// What the person at this page may do, so that nothing is offered that the hub would refuse. Only the hub decides.
import type { Permissions } from './shapes.ts';

/** Whether a permission is held: in `app`, in all apps if that is null, anywhere if it is left out. */
export function may(own: Permissions, permission: string, app?: string | null): boolean {
  if (own.global.includes(permission)) return true;
  if (app === null) return false;
  if (app === undefined) return Object.values(own.apps).some((held) => held.includes(permission));
  return Object.hasOwn(own.apps, app) && (own.apps[app]?.includes(permission) ?? false);
}

/** Whether all that `wanted` stands for is held, which may be `*` or `kind:*`. */
export function mayAll(own: Permissions, wanted: string, app: string | null): boolean {
  // Only an admin has this one, and an admin has all.
  if (wanted === '*') return may(own, 'user:write', app);
  if (!wanted.endsWith(':*')) return may(own, wanted, app);
  const held = app === null ? own.global : (own.apps[app] ?? own.global);
  // Whoever may delete a kind of thing may do all else with it: so the roles are made.
  return held.some((one) => one.startsWith(wanted.slice(0, -1)) && /:(delete|stop)$/.test(one));
}
