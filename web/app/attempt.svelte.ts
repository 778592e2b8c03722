// One thing at a time that a person asked for: whether it is under way, and why it failed. What was typed stays.
import { words } from './api.ts';

export class Attempt {
  pending = $state(false);
  fault = $state('');

  /** Whether it came to its end. A second press while it is under way does nothing. */
  async run(work: () => Promise<void>): Promise<boolean> {
    if (this.pending) return false;
    this.pending = true;
    this.fault = '';
    try {
      await work();
      return true;
    } catch (error) {
      this.fault = words(error);
      return false;
    } finally {
      this.pending = false;
    }
  }
}

/** A list of the hub's, as it was when it was last asked for. */
export class Listing<T> {
  items = $state.raw<readonly T[]>([]);
  listed = $state(false);
  fault = $state('');
  readonly #load: () => Promise<readonly T[]>;

  constructor(load: () => Promise<readonly T[]>) {
    this.#load = load;
  }

  /** What was there stays when the hub does not answer. */
  async refresh(): Promise<void> {
    try {
      this.items = await this.#load();
      this.listed = true;
      this.fault = '';
    } catch (error) {
      this.fault = words(error);
    }
  }
}
