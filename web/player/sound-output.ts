// Plays the sound of one camera: the part that is loaded when somebody turns sound on (`/sound.js`).
import type { SoundInfo } from '../client/events.ts';
import { CODEC_AAC, CODEC_ALAW, CODEC_MULAW, CODEC_OPUS, type SoundUnit } from '../client/frame.ts';
import { createSoundDecoder, type SoundDecoder } from './sound-decoders.ts';
import { SoundSchedule } from './sound-schedule.ts';

export interface SoundOptions {
  readonly context: AudioContext;
  readonly sound: SoundInfo;
  /** From 0 to 1. */
  readonly volume: number;
  /** The hub's time in µs. */
  readonly now: () => number;
  /** The browser cannot decode the sound. */
  readonly failed: () => void;
}

const CODECS = { aac: CODEC_AAC, opus: CODEC_OPUS, pcma: CODEC_ALAW, pcmu: CODEC_MULAW };
/** The sound fades out before its context is closed; ms. */
const ENDING = 50;
/** In s. The loudness changes without a click. */
const SMOOTH = 0.01;

export class SoundOutput {
  readonly #context: AudioContext;
  readonly #codec: number;
  readonly #gain: GainNode;
  readonly #schedule: SoundSchedule;
  readonly #decoder: SoundDecoder;
  #next: number | undefined;

  constructor({ context, sound, volume, now, failed }: SoundOptions) {
    this.#context = context;
    this.#codec = CODECS[sound.codec];
    this.#gain = context.createGain();
    this.#gain.gain.value = volume;
    this.#gain.connect(context.destination);
    this.#schedule = new SoundSchedule(context, this.#gain, now);
    this.#decoder = createSoundDecoder(sound, context, {
      decoded: (piece) => this.#schedule.play(piece),
      failed,
    });
  }

  receive(unit: SoundUnit): void {
    // The camera has changed its codec. Another output follows.
    if (unit.codec !== this.#codec) return;
    const follows = unit.sequence === this.#next && !unit.discontinuity;
    this.#next = (unit.sequence + 1) % 2 ** 32;
    this.#decoder.decode({ ...unit, captureTime: unit.captureTime || unit.receiptTime }, follows);
  }

  /** Records the age of a picture when it was painted, in ms. The sound keeps close to it. */
  pictured(age: number): void {
    this.#schedule.pictured(age);
  }

  setVolume(volume: number): void {
    this.#gain.gain.setTargetAtTime(volume, this.#context.currentTime, SMOOTH);
  }

  /** Ends the sound, and then the context. */
  close(): void {
    this.#decoder.close();
    this.#schedule.stop();
    setTimeout(() => void this.#context.close(), ENDING);
  }
}
