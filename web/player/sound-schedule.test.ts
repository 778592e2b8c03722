import { beforeEach, expect, test } from 'vitest';
import { FakeAudio } from './sound-fakes.ts';
import { SoundSchedule } from './sound-schedule.ts';

const RATE = 8_000;
/** The length of a piece in s and samples. */
const PIECE = 0.02;
const SAMPLES = RATE * PIECE;
/** The hub's time at time 0 of the context; µs. */
const EPOCH = 1_700_000_000_000_000;
const LATENCY = 0.03;

let audio: FakeAudio;
let schedule: SoundSchedule;
/** The time of the test; s. */
let time: number;
/** How much the capture clock is ahead of the time; s. */
let cameraClock: number;

beforeEach(() => {
  audio = new FakeAudio();
  time = 0;
  cameraClock = 0;
  schedule = new SoundSchedule(audio.context, {} as AudioNode, () => EPOCH + time * 1e6);
});

function advanceTo(next: number): void {
  time = next;
  // The context's time advances in steps.
  audio.currentTime = Math.floor(time * 100) / 100;
}

/** Plays the piece that was captured at that time; s. Each sample is its capture time. */
function play(captured: number, follows = true): void {
  const samples = Float32Array.from({ length: SAMPLES }, (_, at) => captured + at / RATE);
  schedule.play({
    channels: [samples],
    rate: RATE,
    captureTime: EPOCH + (captured + cameraClock) * 1e6,
    follows,
  });
}

/** Plays pieces that arrive as soon as they are captured, `late` later. */
function run(from: number, to: number, late = 0): void {
  for (let captured = from; captured < to - PIECE / 2; captured += PIECE) {
    advanceTo(captured + PIECE + late);
    play(captured);
  }
}

/** How late a sample is heard that is heard at a time of the context; s. */
const delayAt = (at: number): number => at + LATENCY - audio.heard(at);

test('pieces follow each other without a gap, a little after they arrive', () => {
  run(0, 2);
  for (let at = 0.5; at < 1.9; at += 0.0101) expect(delayAt(at)).toBeCloseTo(0.07, 1);
  // One piece, the margin and the latency.
  expect(delayAt(1.5)).toBeGreaterThan(PIECE + LATENCY);
  expect(delayAt(1.5)).toBeLessThan(PIECE + 0.015 + LATENCY + 0.015);
});

test('the delay follows that of the picture, slowly where it is near', () => {
  for (let second = 0; second < 20; second++) {
    run(second, second + 1);
    schedule.pictured(180);
  }
  expect(delayAt(19.5)).toBeGreaterThan(0.16);
  expect(delayAt(19.5)).toBeLessThan(0.2);
  // Nothing is cut: the difference between two samples that follow each other is about one sample.
  for (let at = 3 + 0.5 / RATE; at < 4; at += 1 / RATE) {
    const step = (audio.heard(at + 1 / RATE) - audio.heard(at)) * RATE;
    expect(step).toBeGreaterThan(0.9);
    expect(step).toBeLessThan(1.1);
  }
});

test('sound that is far from its picture jumps, with ramps', () => {
  run(0, 2);
  schedule.pictured(600);
  run(2, 4);
  expect(delayAt(3.8)).toBeCloseTo(0.6, 1);
  for (let at = 1 + 0.5 / RATE; at < 3.9; at += 1 / RATE) {
    const step = Math.abs(audio.heard(at + 1 / RATE) - audio.heard(at));
    // A ramp of 3 ms has 24 steps. Samples go up to 4 here.
    expect(step).toBeLessThan(4 / 20);
  }
  // And back when the picture is near again.
  schedule.pictured(60);
  run(4, 6);
  expect(delayAt(5.8)).toBeLessThan(0.12);
});

test('after a pause of the network the oldest is dropped, and no more than a second waits', () => {
  run(0, 2);
  // Three seconds arrive at once.
  advanceTo(5.02);
  for (let captured = 2; captured < 5; captured += PIECE) play(captured);
  run(5, 7);
  const ahead = Math.max(...audio.sources.map(({ endTime }) => endTime)) - time;
  expect(ahead).toBeLessThan(1);
  expect(delayAt(6.5)).toBeLessThan(0.5);
});

test('late pieces raise the delay, which falls again slowly', () => {
  run(0, 2);
  const before = delayAt(1.5);
  for (let captured = 2; captured < 4; captured += PIECE) {
    // Every tenth is late.
    advanceTo(captured + PIECE + (Math.round(captured / PIECE) % 10 === 0 ? 0.1 : 0));
    play(captured);
  }
  run(4, 5);
  expect(delayAt(4.5)).toBeGreaterThan(before + 0.05);
  run(5, 40);
  expect(delayAt(39.5)).toBeLessThan(before + 0.02);
});

test('one piece that is very late is skipped, and delays none that follow', () => {
  run(0, 2);
  run(2.02, 3);
  advanceTo(4);
  play(2);
  const before = audio.sources.length;
  run(3, 5);
  expect(audio.sources.length).toBeGreaterThan(before);
  expect(delayAt(4.5)).toBeLessThan(0.45);
});

test('where pieces are missing, the next one is heard at its own time', () => {
  run(0, 1);
  advanceTo(1.32);
  play(1.3, false);
  run(1.32, 2);
  expect(delayAt(1.8)).toBeCloseTo(delayAt(0.8), 1);
  expect(audio.heard(1.2)).toBe(0);
});

test('while the hub’s time is wrong, nothing is scheduled hours ahead', () => {
  run(0, 1);
  cameraClock = 3_600;
  run(1, 2);
  expect(Math.max(...audio.sources.map(({ endTime }) => endTime))).toBeLessThan(3);
  cameraClock = 0;
  run(2, 4);
  expect(delayAt(3.5)).toBeLessThan(0.2);
});

test('a context that was suspended goes on at the right time', () => {
  run(0, 1);
  // Its time stood still for five seconds.
  const stood = 5;
  for (let captured = 6; captured < 8; captured += PIECE) {
    time = captured + PIECE;
    audio.currentTime = Math.floor((time - stood) * 100) / 100;
    play(captured, captured > 6);
  }
  expect(delayAt(2.5) + stood).toBeLessThan(0.15);
  expect(delayAt(2.5) + stood).toBeGreaterThan(0.05);
});

test('stop ends what is scheduled with a ramp', () => {
  schedule.pictured(500);
  run(0, 1);
  schedule.stop();
  expect(audio.heard(audio.currentTime + 0.006)).toBe(0);
  expect(audio.heard(audio.currentTime)).toBeGreaterThan(0);
});
