// What the person at this page may do, so that nothing is offered that the hub would refuse. Only the hub decides.
import type { Grant } from './shapes.ts';

/** Whether a permission is held: in `app`, in all apps if that is null, anywhere if it is left out. */
export function may(grants: readonly Grant[], permission: string, app?: string | null): boolean {
  return grants.some(
    (grant) =>
      (app === undefined || grant.app === null || grant.app === app) &&
      grant.permissions.some((own) => covers(own, permission)),
  );
}

/** The apps of `all` in which a permission is held. */
export function appsFor(grants: readonly Grant[], permission: string, all: readonly string[]): string[] {
  return all.filter((app) => may(grants, permission, app));
}

function covers(own: string, wanted: string): boolean {
  return own === '*' || own === wanted || (own.endsWith(':*') && wanted.startsWith(own.slice(0, -1)));
}
