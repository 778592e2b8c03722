// State of user actions and of lists loaded from the hub, for use in components.
import { errorMessage } from './api.ts';

/** One user action: whether it is running, and the error of the last run. */
export class Attempt {
  pending = $state(false);
  fault = $state('');

  /** Runs `work`. Returns true if it succeeded. Does nothing while another run is pending. */
  async run(work: () => Promise<void>): Promise<boolean> {
    if (this.pending) return false;
    this.pending = true;
    this.fault = '';
    try {
      await work();
      return true;
    } catch (error) {
      this.fault = errorMessage(error);
      return false;
    } finally {
      this.pending = false;
    }
  }
}

/** A list from the hub, as of the last successful refresh. */
export class Listing<T> {
  items = $state.raw<readonly T[]>([]);
  loaded = $state(false);
  fault = $state('');
  readonly #load: () => Promise<readonly T[]>;

  constructor(load: () => Promise<readonly T[]>) {
    this.#load = load;
  }

  /** Loads the list again. On failure the old items stay. */
  async refresh(): Promise<void> {
    try {
      this.items = await this.#load();
      this.loaded = true;
      this.fault = '';
    } catch (error) {
      this.fault = errorMessage(error);
    }
  }
}
