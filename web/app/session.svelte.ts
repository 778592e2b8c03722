// Who is signed in, for every panel of a page; and the calls, which notice when nobody is any more.
import { Caller, Problem, type Method } from './api.ts';
import { may } from './rights.ts';
import type { Permissions, Session } from './shapes.ts';

const NOTHING: Permissions = { global: [], apps: {} };

class Signed {
  session = $state.raw<Session | undefined>();
  /** The session ended while the page was open. */
  lost = $state(false);

  readonly #caller = new Caller(
    (...request) => fetch(...request),
    () => (this.lost = true),
  );

  call<T>(method: Method, path: string, body?: unknown): Promise<T> {
    return this.#caller.call<T>(method, path, body);
  }

  /** The whole of a list of the hub's. */
  all<T>(path: string): Promise<T[]> {
    return this.#caller.all<T>(path);
  }

  get name(): string | undefined {
    return this.session?.user?.name;
  }

  get permissions(): Permissions {
    return this.session?.permissions ?? NOTHING;
  }

  /** See `may`: in `app`, in all apps if that is null, anywhere if it is left out. */
  may(permission: string, app?: string | null): boolean {
    return may(this.permissions, permission, app);
  }

  async load(): Promise<void> {
    this.session = await this.call<Session>('GET', 'session');
    this.lost = false;
  }

  async leave(): Promise<void> {
    try {
      await this.call('DELETE', 'session');
    } catch (error) {
      // Whoever is out already has what they wanted.
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      this.lost = false;
    }
  }
}

export const signed = new Signed();
