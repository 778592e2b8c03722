// What a visitor by a wall's link is told: the wall's name, when the link ends, and that it has.
import { Caller, Problem } from './api.ts';
import type { Session, VisitedWall } from './shapes.ts';

const PAUSE = 30_000;

export class WallVisit {
  wall = $state.raw<VisitedWall | undefined>();
  ended = $state(false);
  /** When it was last asked for, so that what is left of it is told anew. */
  asked = $state(Date.now());
  readonly token: string;
  // A visitor is nobody who could be signed out.
  readonly #caller = new Caller(
    (...request) => fetch(...request),
    () => undefined,
  );

  constructor(token: string) {
    this.token = token;
  }

  /** Asks now and then; gives what ends that. */
  follow(): () => void {
    void this.look();
    const timer = setInterval(() => void this.look(), PAUSE);
    return () => clearInterval(timer);
  }

  async look(): Promise<void> {
    if (this.ended) return;
    try {
      const { wall } = await this.#caller.call<Session>(
        'GET',
        `session?token=${encodeURIComponent(this.token)}`,
      );
      this.wall = wall ?? undefined;
    } catch (error) {
      // A hub that does not answer has not ended the link.
      if (error instanceof Problem && error.status === 401) this.ended = true;
    }
    this.asked = Date.now();
  }
}
