// Decides how much of each camera a page asks for when the network or the device is too slow: a ladder with hysteresis
// for each camera. All cameras share one connection, so they do not step up at the same time. No DOM; the time is passed
// in.

/** From the most to the least: the stream that suits the picture, the substream, only key frames, MPEG-1. */
export type Step = 'full' | 'sub' | 'keys' | 'mpeg1';
export type Bottleneck = 'network' | 'device';

const STEPS: readonly Step[] = ['full', 'sub', 'keys', 'mpeg1'];
/** A camera that is in trouble for this long steps down; ms. */
const DOWN_AFTER = 3_000;
/** Trouble that is not seen again for this long is over; ms. */
const HOLD = 2_000;
/** After a step, what was sent before it still arrives; ms. */
const SETTLE = 2_000;
/** The time without trouble before a step up. It doubles with each attempt that fails; ms. */
const QUIET = 15_000;
const MAX_QUIET = 300_000;
/**
 * An attempt succeeds after this long without trouble, once its pictures have arrived in time or after the longer time,
 * and fails after less trouble than a step down needs; ms.
 */
const TRIAL = 10_000;
const MAX_TRIAL = 60_000;
const TRIAL_TROUBLE = 1_000;
/** Trouble this soon after a step up is because of it; ms. */
const HELD = 60_000;
/** Decoding MPEG-1 is expensive for the hub and the page. */
const MAX_MPEG1 = 2;
/** A picture that is wider than the others by this factor keeps its step longer. */
const LARGER = 1.2;

interface Rung {
  steps: readonly Step[];
  width: number;
  isActive: boolean;
  /** Not necessarily one of `steps`, which the viewer and the camera can change. */
  step: Step;
  cause: Bottleneck;
  troubleSince: number | undefined;
  seenAt: number;
  /** When pictures last arrived in time. */
  inTimeAt: number;
  changedAt: number;
  /** Attempts to step up that have failed in a row. */
  failures: number;
}

interface Trial {
  readonly rungs: ReadonlyMap<Rung, Step>;
  readonly since: number;
}

/** What is asked for instead of the full stream, and why. */
export interface LoadStep {
  readonly step: Step;
  readonly cause: Bottleneck;
}

export class LoadLadder {
  #rungs = new Map<string, Rung>();
  #quiet = QUIET;
  /** No attempt to step up before this time. */
  #attemptAt = 0;
  #trial: Trial | undefined;
  /** How many cameras step up at a time. It doubles with each attempt that succeeds. */
  #batch = 1;
  #upAt = -Infinity;
  /** When the last attempt succeeded; undefined after a step down. */
  #heldSince: number | undefined;
  #now = 0;

  /** Adds or changes a watched camera. `steps` are those that it has, in order; a single one is fixed. */
  set(camera: string, steps: readonly Step[], width: number): void {
    const rung = this.#rungs.get(camera);
    if (rung) Object.assign(rung, { steps, width, isActive: true });
    else {
      // On a slow network, a further camera starts no higher than the others.
      const others = this.#active.filter((other) => other.steps.length > 1);
      const step = STEPS[Math.min(...others.map((other) => STEPS.indexOf(current(other))))] ?? 'full';
      this.#rungs.set(camera, {
        ...{ steps, width, isActive: true, step, cause: 'network', troubleSince: undefined },
        ...{ seenAt: 0, inTimeAt: -Infinity, changedAt: this.#now, failures: 0 },
      });
    }
  }

  /** Keeps only these cameras active. The others keep their step for the next time they are watched. */
  retain(cameras: ReadonlyMap<string, unknown>): void {
    for (const [camera, rung] of this.#rungs) rung.isActive &&= cameras.has(camera);
  }

  forget(camera: string): void {
    this.#rungs.delete(camera);
  }

  /** The network may be another one, so attempts to step up start soon. */
  reset(now: number): void {
    this.#quiet = QUIET;
    this.#trial = undefined;
    this.#postpone(now);
    for (const rung of this.#rungs.values()) this.#settle(rung, now);
  }

  step(camera: string): Step {
    const rung = this.#rungs.get(camera);
    return rung ? current(rung) : 'full';
  }

  /** The step of a camera and why it is not a higher one; undefined if there is none, and where the step is fixed. */
  lowered(camera: string): LoadStep | undefined {
    const rung = this.#rungs.get(camera);
    if (!rung || rung.steps.indexOf(current(rung)) <= 0) return undefined;
    return { step: current(rung), cause: rung.cause };
  }

  /**
   * Records that pictures of a camera are late or lost; `isSevere` is whether most of them are. Otherwise what is left is
   * better than key frames.
   */
  observe(camera: string, cause: Bottleneck, now: number, isSevere: boolean): void {
    const rung = this.#rungs.get(camera);
    if (!rung?.isActive || now - rung.changedAt < SETTLE) return;
    this.#postpone(now);
    if (!isSevere && rung.steps[rung.steps.indexOf(current(rung)) + 1] !== 'sub') return;
    if (rung.troubleSince === undefined || now - rung.seenAt > HOLD) rung.troubleSince = now;
    rung.seenAt = now;
    rung.cause = cause;
  }

  /** Records that the pictures of a camera arrive in time. */
  confirm(camera: string, now: number): void {
    const rung = this.#rungs.get(camera);
    if (rung) rung.inTimeAt = now;
  }

  /** Moves cameras down or up. Returns whether any has moved. */
  decide(now: number): boolean {
    // The clock was set back.
    if (now < this.#now) this.reset(now);
    this.#now = now;
    if (this.#heldSince !== undefined && now - this.#heldSince >= HELD) {
      this.#heldSince = undefined;
      this.#quiet = QUIET;
    }
    return this.#judgeTrial(now) || this.#stepDown(now) || this.#stepUp(now);
  }

  get #active(): Rung[] {
    return [...this.#rungs.values()].filter(({ isActive }) => isActive);
  }

  /** Returns true if an attempt has failed. */
  #judgeTrial(now: number): boolean {
    const trial = this.#trial;
    if (!trial) return false;
    if (this.#active.some((rung) => isInTrouble(rung, now, TRIAL_TROUBLE))) {
      for (const [rung, step] of trial.rungs) {
        rung.step = step;
        rung.failures += 1;
      }
      this.#trial = undefined;
      this.#batch = 1;
      this.#back(now);
      return true;
    }
    const areInTime = [...trial.rungs.keys()].every(({ inTimeAt }) => inTimeAt >= trial.since);
    if (now - trial.since >= (areInTime ? TRIAL : MAX_TRIAL)) {
      for (const rung of trial.rungs.keys()) rung.failures = 0;
      this.#trial = undefined;
      this.#batch *= 2;
      this.#heldSince = now;
      this.#attemptAt = now;
    }
    return false;
  }

  #stepDown(now: number): boolean {
    const due = this.#active.filter(
      (rung) => isInTrouble(rung, now, DOWN_AFTER) && this.#below(rung) !== undefined,
    );
    if (due.length === 0) return false;
    const largest = this.#largest;
    // The largest picture stays while others that are as high make room for it.
    const isSpared = (rung: Rung): boolean =>
      rung === largest && due.some((other) => other !== rung && rank(other) <= rank(rung));
    const moved = due.filter((rung) => !isSpared(rung));
    if (moved.length === 0) return false;
    for (const rung of moved) rung.step = this.#below(rung) ?? rung.step;
    if (now - this.#upAt < HELD) {
      for (const rung of moved) rung.failures += 1;
      this.#back(now);
    } else {
      this.#heldSince = undefined;
      for (const rung of due) this.#settle(rung, now);
      this.#postpone(now);
    }
    return true;
  }

  #stepUp(now: number): boolean {
    if (this.#trial || now < this.#attemptAt) return false;
    const lowered = this.#active.filter((rung) => rung.steps.indexOf(current(rung)) > 0);
    // Those that failed least, then the largest, then the lowest.
    lowered.sort((a, b) => a.failures - b.failures || b.width - a.width || rank(b) - rank(a));
    const chosen = lowered.slice(0, this.#batch);
    if (chosen.length === 0) {
      this.#batch = 1;
      return false;
    }
    this.#trial = { rungs: new Map(chosen.map((rung) => [rung, current(rung)])), since: now };
    for (const rung of chosen) {
      rung.step = rung.steps[rung.steps.indexOf(current(rung)) - 1] ?? rung.step;
      // What was sent before was not late.
      this.#settle(rung, -Infinity);
    }
    this.#upAt = now;
    return true;
  }

  /** The next attempt waits twice as long, because this one failed. */
  #back(now: number): void {
    this.#quiet = Math.min(MAX_QUIET, this.#quiet * 2);
    this.#heldSince = undefined;
    this.#upAt = -Infinity;
    this.#postpone(now);
    for (const rung of this.#rungs.values()) this.#settle(rung, now);
  }

  #postpone(now: number): void {
    this.#attemptAt = now + this.#quiet;
  }

  #settle(rung: Rung, now: number): void {
    rung.changedAt = now;
    rung.troubleSince = undefined;
  }

  /** The next step below; undefined if there is none. */
  #below(rung: Rung): Step | undefined {
    const step = rung.steps[rung.steps.indexOf(current(rung)) + 1];
    const isFull = this.#active.filter((other) => current(other) === 'mpeg1').length >= MAX_MPEG1;
    return step === 'mpeg1' && isFull ? undefined : step;
  }

  get #largest(): Rung | undefined {
    const [first, second] = this.#active.sort((a, b) => b.width - a.width);
    return first && first.width > (second?.width ?? Infinity) * LARGER ? first : undefined;
  }
}

/** The step of a camera among those that it has now: the same or the next higher one. */
function current({ steps, step }: Rung): Step {
  return steps.findLast((each) => STEPS.indexOf(each) <= STEPS.indexOf(step)) ?? steps[0] ?? 'full';
}

function rank(rung: Rung): number {
  return STEPS.indexOf(current(rung));
}

function isInTrouble({ troubleSince, seenAt }: Rung, now: number, duration: number): boolean {
  return troubleSince !== undefined && now - seenAt <= HOLD && now - troubleSince >= duration;
}
