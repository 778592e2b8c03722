// MPEG-1 in a tile, instead of the pictures of the painter, and above them.
import type { StreamChoice } from '../client/events.ts';
import type { Engine } from './engine.ts';
import type { Picture, Pixels } from './messages.ts';
import { Mpeg1Stream } from './mpeg1-stream.ts';

export interface Mpeg1Shown {
  readonly camera: string;
  readonly stream: StreamChoice;
  readonly parent: HTMLElement;
  readonly frozen: boolean;
}

export class Mpeg1Tile {
  #stream: Mpeg1Stream | undefined;

  /** Shows MPEG-1, or removes it if `shown` is undefined. A frozen picture keeps its stream. */
  show(engine: Engine, shown: Mpeg1Shown | undefined): void {
    const stream = this.#stream;
    const isSame =
      stream?.camera === shown?.camera && (stream?.stream === shown?.stream || shown?.frozen === true);
    if (!isSame) this.remove();
    if (!shown) return;
    this.#stream ??= new Mpeg1Stream(engine.address, shown);
    this.#stream.hold(shown.frozen);
  }

  remove(): void {
    this.#stream?.remove();
    this.#stream = undefined;
  }

  /** Whether nothing has arrived although it should have. */
  get isMissing(): boolean {
    return this.#stream?.isMissing ?? false;
  }

  picture({ clockOffset }: Engine): Picture | undefined {
    return this.#stream?.picture(clockOffset);
  }

  read(): Pixels | undefined {
    return this.#stream?.read();
  }
}
