// The signed-in user and the API calls that use the session. A call that gets a 401 marks the session as expired.
import { ApiClient, ApiError, type Method } from './api.ts';
import { may } from './rights.ts';
import type { Permissions, Session } from './shapes.ts';

const NO_PERMISSIONS: Permissions = { global: [], apps: {} };

class Auth {
  session = $state.raw<Session | undefined>();
  /** Whether the session ended while the page was open. */
  expired = $state(false);

  readonly #client = new ApiClient(
    (...request) => fetch(...request),
    () => (this.expired = true),
  );

  call<T>(method: Method, path: string, body?: unknown): Promise<T> {
    return this.#client.call<T>(method, path, body);
  }

  /** Returns a whole list from the hub. */
  all<T>(path: string): Promise<T[]> {
    return this.#client.all<T>(path);
  }

  get name(): string | undefined {
    return this.session?.user?.name;
  }

  get permissions(): Permissions {
    return this.session?.permissions ?? NO_PERMISSIONS;
  }

  /** Like `may` in rights.ts, for the signed-in user. */
  may(permission: string, app?: string | null): boolean {
    return may(this.permissions, permission, app);
  }

  async load(): Promise<void> {
    this.session = await this.call<Session>('GET', 'session');
    this.expired = false;
  }

  async signOut(): Promise<void> {
    try {
      await this.call('DELETE', 'session');
    } catch (error) {
      // A 401 means that the session has already ended.
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      this.expired = false;
    }
  }
}

export const auth = new Auth();
