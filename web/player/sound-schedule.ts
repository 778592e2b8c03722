// Plays decoded sound in an AudioContext, each sample at the moment that its capture time and the delay call for. Pieces
// follow each other without a gap: their rate is changed a little where the moment is near, and where it is far off the
// sound is cut, with short ramps so that it does not click. Needs no AudioWorklet, which only secure pages have.
import { SoundDelay } from './sound-delay.ts';
import { SoundResampler } from './sound-resampler.ts';

/** Decoded sound. */
export interface SoundPiece {
  /** The samples of each channel, from -1 to 1. */
  readonly channels: readonly Float32Array<ArrayBuffer>[];
  /** In Hz. */
  readonly rate: number;
  /** Of the first sample; µs by the hub's clock. */
  readonly captureTime: number;
  /** Whether nothing is missing between the last piece and this one. */
  readonly follows: boolean;
}

export type SoundContext = Pick<
  AudioContext,
  'currentTime' | 'sampleRate' | 'baseLatency' | 'createGain' | 'createBuffer' | 'createBufferSource'
> & {
  /** Older browsers do not have it. */
  readonly outputLatency?: number;
};

/** The length of a ramp, and how far ahead a piece must be scheduled; s. */
const RAMP = 0.003;
const LEAD = 0.005;
/** More than this is never scheduled; s. */
const MAX_AHEAD = 2;
/** Sound that is later or earlier than its moment by more than this is cut; s. Earlier means silence meanwhile. */
const FAR_LATE = 0.05;
const FAR_EARLY = 0.12;
/** Sound that is nearer than this is left alone; s. */
const NEAR = 0.008;
/** The change of the rate per second of distance, and the largest. */
const GAIN = 0.5;
const MAX_CHANGE = 0.02;
/** How long a reading of the clocks is used, and by how much it may be off before it is replaced; s. */
const CLOCK_WINDOW = 1;
const CLOCK_STEP = 0.2;

interface Source {
  readonly node: AudioBufferSourceNode;
  readonly end: number;
}

export class SoundSchedule {
  readonly #context: SoundContext;
  readonly #output: AudioNode;
  readonly #now: () => number;
  readonly #delay: SoundDelay;
  readonly #clock = new ContextClock();
  readonly #resampler = new SoundResampler();
  /** The pieces since the last cut. */
  #segment: GainNode | undefined;
  #sources: Source[] = [];
  /** The end of what is scheduled; s of the context. */
  #end = 0;
  /** Whether the segment has a ramp there. */
  #hasEnd = false;

  /** `now` returns the hub's time in µs. */
  constructor(context: SoundContext, output: AudioNode, now: () => number, delay = new SoundDelay()) {
    this.#context = context;
    this.#output = output;
    this.#now = now;
    this.#delay = delay;
  }

  /** Records the age of a picture when it was painted; ms. */
  pictured(age: number): void {
    this.#delay.pictured(age, this.#now() / 1000);
  }

  play({ channels, rate, captureTime, follows }: SoundPiece): void {
    const now = this.#now();
    const { currentTime } = this.#context;
    const latency = this.#context.baseLatency + (this.#context.outputLatency ?? 0);
    const offset = this.#clock.read(now / 1e6, currentTime) + latency;
    this.#delay.arrived((now - captureTime) / 1000, now / 1000, follows);
    const delay = this.#delay.target(latency * 1000, now / 1000) / 1000;
    const wanted = captureTime / 1e6 + delay - offset;
    const earliest = currentTime + LEAD;
    const late = this.#end - wanted;
    if (follows && this.#segment && this.#end >= earliest && late <= FAR_LATE && late >= -FAR_EARLY) {
      this.#append(channels, rate, Math.abs(late) < NEAR ? 1 : 1 + clamp(late * GAIN));
      return;
    }
    const duration = (channels[0]?.length ?? 0) / rate;
    // What would be over by now is skipped. While the hub's time is not known after a reconnection, anything may be.
    if (wanted + duration < earliest || wanted > currentTime + MAX_AHEAD) return;
    this.#begin(Math.max(wanted, earliest));
    this.#append(channels, rate, 1);
  }

  /** Ends what is scheduled. */
  stop(): void {
    this.#cut(this.#context.currentTime + LEAD);
  }

  #begin(time: number): void {
    const { sampleRate } = this.#context;
    // Between two samples of the context the sound would be interpolated.
    const at = Math.ceil(time * sampleRate) / sampleRate;
    this.#cut(at);
    this.#resampler.reset();
    this.#segment = this.#context.createGain();
    this.#segment.gain.setValueAtTime(0, at);
    this.#segment.gain.linearRampToValueAtTime(1, at + RAMP);
    this.#segment.connect(this.#output);
    this.#end = at;
    this.#hasEnd = false;
  }

  #append(channels: readonly Float32Array<ArrayBuffer>[], rate: number, speed: number): void {
    const segment = this.#segment;
    const resampled = this.#resampler.process(channels, speed);
    const length = resampled[0]?.length ?? 0;
    if (!segment || length === 0) return;
    const buffer = this.#context.createBuffer(resampled.length, length, rate);
    resampled.forEach((samples, channel) => buffer.copyToChannel(samples, channel));
    const node = this.#context.createBufferSource();
    node.buffer = buffer;
    node.connect(segment);
    node.start(this.#end);
    // The ramp at the end of the last piece is taken back. It stays if nothing follows in time.
    if (this.#hasEnd) segment.gain.cancelScheduledValues(this.#end - RAMP);
    this.#hasEnd = true;
    this.#end += length / rate;
    segment.gain.setValueAtTime(1, this.#end - RAMP);
    segment.gain.linearRampToValueAtTime(0, this.#end);
    const { currentTime } = this.#context;
    this.#sources = this.#sources.filter(({ end }) => end > currentTime);
    this.#sources.push({ node, end: this.#end });
  }

  /** Ends the segment, if it goes on at that time. */
  #cut(time: number): void {
    const segment = this.#segment;
    this.#segment = undefined;
    if (!segment || this.#end <= time) return;
    segment.gain.cancelScheduledValues(time - RAMP);
    segment.gain.setValueAtTime(1, time - RAMP);
    segment.gain.linearRampToValueAtTime(0, time);
    for (const { node, end } of this.#sources) if (end > time) node.stop(time);
  }
}

const clamp = (change: number): number => Math.min(MAX_CHANGE, Math.max(-MAX_CHANGE, change));

/**
 * The time on the hub's clock at time 0 of an AudioContext. The context's time advances in steps, so a reading is late by
 * up to one step: the least of the recent readings is right.
 */
class ContextClock {
  #startedAt = -Infinity;
  #least = Infinity;
  #before = Infinity;

  /** Reads both clocks, in seconds. Returns the difference. */
  read(now: number, contextTime: number): number {
    const difference = now - contextTime;
    // The context was suspended, or a clock was set.
    if (difference - Math.min(this.#least, this.#before) > CLOCK_STEP) this.#least = this.#before = Infinity;
    if (Math.abs(now - this.#startedAt) > CLOCK_WINDOW) {
      this.#before = this.#least;
      this.#least = Infinity;
      this.#startedAt = now;
    }
    this.#least = Math.min(this.#least, difference);
    return Math.min(this.#least, this.#before);
  }
}
