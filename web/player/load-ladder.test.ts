import { beforeEach, describe, expect, test } from 'vitest';
import { LoadLadder, type Bottleneck, type Step } from './load-ladder.ts';

const ALL: readonly Step[] = ['full', 'sub', 'keys', 'mpeg1'];
const TICK = 250;

let ladder: LoadLadder;
let now: number;
/** How much each step of a camera needs. The network carries `capacity` of it in all. */
const NEED: Readonly<Record<Step, number>> = { full: 8, sub: 2, keys: 1, mpeg1: 0.5 };
let capacity: number;
let cameras: string[];

beforeEach(() => {
  ladder = new LoadLadder();
  now = 1_000_000;
  capacity = Infinity;
  cameras = [];
});

function watch(camera: string, steps = ALL, width = 640): void {
  cameras.push(camera);
  ladder.set(camera, steps, width);
}

const steps = (): Step[] => cameras.map((camera) => ladder.step(camera));
const need = (): number => steps().reduce((sum, step) => sum + NEED[step], 0);

/** Lets time pass. All cameras are in trouble while they need more than the network carries. */
function wait(seconds: number, each: () => void = () => undefined): void {
  for (let tick = 0; tick < (seconds * 1000) / TICK; tick++) {
    now += TICK;
    for (const camera of cameras)
      if (need() > capacity) ladder.observe(camera, 'network', now, true);
      else ladder.confirm(camera, now);
    ladder.decide(now);
    each();
  }
}

/** The seconds at which a step changed, and the steps. */
function history(seconds: number): [number, string][] {
  const start = now;
  const changes: [number, string][] = [];
  let before = steps().join();
  wait(seconds, () => {
    const after = steps().join();
    if (after !== before) changes.push([(now - start) / 1000, after]);
    before = after;
  });
  return changes;
}

describe('one camera', () => {
  test('goes down one step for each three seconds of trouble, as far as it must', () => {
    watch('a');
    capacity = 1;
    expect(history(60)[0]).toEqual([3.25, 'sub']);
    expect(history(0)).toEqual([]);
    expect(ladder.step('a')).toBe('keys');
    expect(ladder.lowered('a')).toEqual({ step: 'keys', cause: 'network' });
  });

  test('stays where it is if the trouble is short', () => {
    watch('a');
    for (let pause = 0; pause < 10; pause++) {
      capacity = 1;
      wait(1);
      capacity = Infinity;
      wait(3);
    }
    expect(steps()).toEqual(['full']);
  });

  test('comes back one step at a time when the network does', () => {
    watch('a');
    capacity = 0;
    wait(15);
    expect(steps()).toEqual(['mpeg1']);
    capacity = Infinity;
    const climbed = history(60);
    expect(climbed.map(([, step]) => step)).toEqual(['keys', 'sub', 'full']);
    const [first = 0, second = 0, third = 0] = climbed.map(([at]) => at);
    expect(first).toBeLessThanOrEqual(15.25);
    expect(second - first).toBe(10);
    expect(third - second).toBe(10);
    expect(ladder.lowered('a')).toBeUndefined();
  });

  test('tries less and less often what fails, at most every five minutes, and only briefly', () => {
    watch('a');
    capacity = 2;
    const changes = history(1_800);
    const ups = changes.filter(([, step]) => step === 'full').map(([at]) => at);
    const downs = changes.filter(([, step]) => step === 'sub').map(([at]) => at);
    const waits = ups.map((at, index) => Math.round(at - (downs[index] ?? 0)));
    expect(waits.slice(0, 7)).toEqual([15, 30, 60, 120, 240, 300, 300]);
    // Each attempt is given up after little more than a second.
    for (const [index, at] of ups.entries()) expect((downs[index + 1] ?? at) - at).toBeLessThan(2);
    expect(changes.every(([, step]) => step === 'full' || step === 'sub')).toBe(true);
  });

  test('does not climb further while nothing is known of the last step', () => {
    watch('a');
    capacity = 1;
    wait(15);
    expect(steps()).toEqual(['keys']);
    for (let tick = 0; tick < 200; tick++) ladder.decide((now += TICK));
    expect(steps(), 'no picture has arrived').toEqual(['sub']);
    capacity = Infinity;
    wait(1);
    expect(steps()).toEqual(['full']);
  });

  test('waits longer too if an attempt fails only after it seemed to succeed', () => {
    watch('a');
    capacity = 2;
    wait(10);
    expect(steps()).toEqual(['sub']);
    // A buffer in the network hides for a while that it is too slow.
    const ups: number[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      const start = now;
      capacity = Infinity;
      while (ladder.step('a') === 'sub') wait(0.25);
      ups.push(Math.round((now - start) / 1000));
      wait(14);
      capacity = 2;
      while (ladder.step('a') === 'full') wait(0.25);
    }
    expect(ups[1]).toBeGreaterThanOrEqual((ups[0] ?? 0) + 10);
    expect(ups[2]).toBeGreaterThan((ups[1] ?? 0) * 1.5);
  });

  test('is patient again after a step that held for a minute', () => {
    watch('a');
    capacity = 2;
    wait(300);
    capacity = Infinity;
    while (ladder.step('a') === 'sub') wait(1);
    wait(80);
    capacity = 2;
    while (ladder.step('a') === 'full') wait(0.25);
    capacity = Infinity;
    expect(history(20)).toEqual([[15, 'full']]);
  });

  test('shows a smaller picture if some pictures are lost, but key frames only if most are', () => {
    watch('a');
    for (let tick = 0; tick < 100; tick++) {
      ladder.observe('a', 'network', (now += TICK), false);
      ladder.decide(now);
    }
    expect(steps()).toEqual(['sub']);
    for (let tick = 0; tick < 20; tick++) {
      ladder.observe('a', 'network', (now += TICK), true);
      ladder.decide(now);
    }
    expect(steps()).toEqual(['keys']);
  });

  test('skips the steps that the camera does not have', () => {
    watch('a', ['full', 'keys']);
    capacity = 0;
    expect(history(60)).toEqual([[3.25, 'keys']]);
    ladder.set('a', ['full', 'sub'], 640);
    expect(steps(), 'the next higher one that it has').toEqual(['sub']);
    ladder.set('a', ['full', 'mpeg1'], 640);
    expect(steps()).toEqual(['full']);
  });

  test('keeps a step that the viewer has chosen, and goes on from its own afterwards', () => {
    watch('a', ['keys']);
    expect(steps()).toEqual(['keys']);
    capacity = 0;
    wait(60);
    expect(steps()).toEqual(['keys']);
    expect(ladder.lowered('a')).toBeUndefined();
    capacity = Infinity;
    ladder.set('a', ALL, 640);
    expect(steps()).toEqual(['full']);
  });

  test('keeps its step while it is not watched', () => {
    watch('a');
    capacity = 2;
    wait(10);
    ladder.retain(new Map());
    capacity = Infinity;
    wait(60);
    ladder.set('a', ALL, 640);
    expect(steps()).toEqual(['sub']);
    expect(history(20)).toHaveLength(1);
  });

  test('reports what is too slow', () => {
    watch('a');
    const slow: Bottleneck = 'device';
    for (let tick = 0; tick < 20; tick++) {
      now += TICK;
      ladder.observe('a', slow, now, true);
      ladder.decide(now);
    }
    expect(ladder.lowered('a')).toEqual({ step: 'sub', cause: 'device' });
  });

  test('a new connection makes it try again soon, and a clock that was set back does not stop it', () => {
    watch('a');
    capacity = 2;
    wait(500);
    capacity = Infinity;
    ladder.reset(now);
    expect(history(20)).toHaveLength(1);
    expect(steps()).toEqual(['full']);
    capacity = 2;
    wait(10);
    now -= 3_600_000;
    capacity = Infinity;
    wait(35);
    expect(steps()).toEqual(['full']);
  });
});

describe('many cameras', () => {
  const NAMES = Array.from({ length: 8 }, (_, index) => `cam${index + 1}`);

  test('go down together and come back a few at a time', () => {
    for (const name of NAMES) watch(name);
    capacity = 16;
    expect(history(10)).toEqual([[3.25, NAMES.map(() => 'sub').join()]]);
    capacity = Infinity;
    const full = history(120).map(([, all]) => all.split(',').filter((step) => step === 'full').length);
    expect(full).toEqual([1, 3, 7, 8]);
  });

  test('take turns, so that each gets its attempt, and those that succeed keep what they got', () => {
    for (const name of NAMES) watch(name);
    // Enough for one camera at its full stream.
    capacity = 8 + 7 * 2;
    const changes = history(300);
    expect(changes[0]?.[1]).toBe(NAMES.map(() => 'sub').join());
    expect(steps().filter((step) => step === 'full')).toHaveLength(1);
    const isHeld = changes
      .slice(1)
      .every(([, all]) => all.split(',').filter((s) => s === 'full').length >= 1);
    expect(isHeld).toBe(true);
    expect(steps().every((step) => step === 'full' || step === 'sub')).toBe(true);
  });

  test('make room for the largest picture first', () => {
    watch('large', ALL, 1280);
    for (const name of NAMES.slice(0, 4)) watch(name, ALL, 320);
    capacity = 8 + 4 * 2;
    expect(history(14)).toEqual([[3.25, 'full,sub,sub,sub,sub']]);
    capacity = 2 + 4;
    wait(11);
    expect(steps()).toEqual(['sub', 'keys', 'keys', 'keys', 'keys']);
    capacity = Infinity;
    const [first] = history(16);
    expect(first?.[1], 'it also climbs first').toBe('full,keys,keys,keys,keys');
  });

  test('at most two are shown as MPEG-1', () => {
    for (const name of NAMES) watch(name);
    capacity = 0;
    wait(60);
    expect(steps().filter((step) => step === 'mpeg1')).toHaveLength(2);
    expect(steps().filter((step) => step === 'keys')).toHaveLength(6);
  });

  test('a further camera starts no higher than the others', () => {
    watch('a');
    watch('b');
    capacity = 2;
    wait(20);
    expect(steps()).toEqual(['keys', 'keys']);
    watch('c');
    expect(ladder.step('c')).toBe('keys');
    ladder.forget('c');
    ladder.retain(new Map());
    watch('d');
    expect(ladder.step('d'), 'alone').toBe('full');
  });
});
