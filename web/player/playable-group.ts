// Which units of a camera can be decoded: those of a group whose key frame has parameter sets.
import type { Frame } from '../client/frame.ts';
import { codecType } from './codec-type.ts';

/** After this many key frames without parameter sets in a row, the stream counts as one that cannot be decoded. */
const MAX_BARE_KEYS = 3;

export class PlayableGroup {
  #group = -1;
  #bareKeys = 0;

  /** Begins the group of a key frame. Returns the type of its codec; `undefined` if the group cannot be decoded. */
  begin({ codec, payload, group }: Frame): string | undefined {
    const type = codecType(codec, payload);
    this.#bareKeys = type === undefined ? this.#bareKeys + 1 : 0;
    this.#group = type === undefined ? -1 : group;
    return type;
  }

  /** Whether too many key frames in a row had no parameter sets. */
  get isHopeless(): boolean {
    return this.#bareKeys >= MAX_BARE_KEYS;
  }

  includes({ group }: Frame): boolean {
    return group === this.#group;
  }

  /** Nothing can be decoded before the next key frame. */
  end(): void {
    this.#group = -1;
  }
}
