// Measures the delivery of the watched cameras, and decides with it how much of each is asked for.
import type { DeliveryCounts } from '../client/events.ts';
import { Arrivals, type Form } from './arrivals.ts';
import { LoadLadder, type LoadStep, type Step } from './load-ladder.ts';

/** A camera as it is watched now. */
export interface Load {
  /** The steps that it has. */
  readonly steps: readonly Step[];
  /** The width of its largest picture, in device pixels. */
  readonly width: number;
}

/** What the decoder of a camera reports. */
export interface DecoderLoad {
  /** Whether it has lately been too slow, and held up the hub with that. */
  readonly wasSlow: boolean;
  /** Whether it leaves out pictures itself, so that the hub sends all of them. */
  readonly isSkipping: boolean;
}

export class LoadControl {
  readonly #ladder = new LoadLadder();
  readonly #decoderOf: (camera: string) => DecoderLoad;
  #arrivals = new Map<string, Arrivals>();

  constructor(decoderOf: (camera: string) => DecoderLoad) {
    this.#decoderOf = decoderOf;
  }

  /** Returns the step for a camera that is watched. */
  stepFor(camera: string, { steps, width }: Load): Step {
    this.#ladder.set(camera, steps, width);
    return this.#ladder.step(camera);
  }

  /** Keeps only these cameras. `restarted` are those whose subscription is another one, with its form. */
  watch(
    watched: ReadonlyMap<string, unknown>,
    subscribed: ReadonlyMap<string, unknown>,
    restarted: ReadonlyMap<string, Form>,
    now: number,
  ): void {
    this.#ladder.retain(watched);
    for (const camera of this.#arrivals.keys()) if (!subscribed.has(camera)) this.#arrivals.delete(camera);
    for (const [camera, form] of restarted) {
      const arrivals = this.#arrivals.get(camera) ?? new Arrivals();
      arrivals.restart(now, form);
      this.#arrivals.set(camera, arrivals);
    }
  }

  lowered(camera: string): LoadStep | undefined {
    return this.#ladder.lowered(camera);
  }

  forget(camera: string): void {
    this.#ladder.forget(camera);
    this.#arrivals.delete(camera);
  }

  /** The connection is new. */
  reset(now: number): void {
    this.#ladder.reset(now);
    for (const arrivals of this.#arrivals.values()) arrivals.restart(now);
  }

  /** Records a picture that arrived `delay` ms after the hub received it. */
  arrived(camera: string, delay: number, now: number): void {
    this.#arrivals.get(camera)?.arrived(delay, now);
  }

  /** Records what the hub had sent at `time`. */
  counted(all: ReadonlyMap<string, DeliveryCounts>, time: number, now: number): void {
    for (const [camera, counts] of all) {
      const loss = this.#arrivals.get(camera)?.counted(counts, time) ?? 'none';
      if (loss !== 'none') this.#observe(camera, now, loss === 'most');
    }
  }

  /** Returns whether the step of a camera has changed. */
  decide(now: number): boolean {
    for (const [camera, arrivals] of this.#arrivals) {
      if (arrivals.isInTime(now)) this.#ladder.confirm(camera, now);
      if (arrivals.isLate(now)) this.#observe(camera, now, arrivals.isVeryLate(now));
      else if (this.#decoderOf(camera).isSkipping) this.#ladder.observe(camera, 'device', now, true);
    }
    return this.#ladder.decide(now);
  }

  #observe(camera: string, now: number, isSevere: boolean): void {
    this.#ladder.observe(camera, this.#decoderOf(camera).wasSlow ? 'device' : 'network', now, isSevere);
  }
}
