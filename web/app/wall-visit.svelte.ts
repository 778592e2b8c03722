// The state of a visit through a wall link: the wall's name, when the link expires, and whether it has expired.
import { ApiClient, ApiError } from './api.ts';
import type { Session, VisitedWall } from './shapes.ts';

const POLL_INTERVAL = 30_000;

export class WallVisit {
  wall = $state.raw<VisitedWall | undefined>();
  ended = $state(false);
  /** The time of the last request, from which the remaining time is computed. */
  requestedAt = $state(Date.now());
  readonly token: string;
  // A visitor has no session to end on a 401.
  readonly #client = new ApiClient(
    (...request) => fetch(...request),
    () => undefined,
  );

  constructor(token: string) {
    this.token = token;
  }

  /** Polls the hub. Returns a function that stops the polling. */
  poll(): () => void {
    void this.refresh();
    const timer = setInterval(() => void this.refresh(), POLL_INTERVAL);
    return () => clearInterval(timer);
  }

  async refresh(): Promise<void> {
    if (this.ended) return;
    try {
      const { wall } = await this.#client.call<Session>(
        'GET',
        `session?token=${encodeURIComponent(this.token)}`,
      );
      this.wall = wall ?? undefined;
    } catch (error) {
      // Only a 401 means that the link has ended; other errors are temporary.
      if (error instanceof ApiError && error.status === 401) this.ended = true;
    }
    this.requestedAt = Date.now();
  }
}
