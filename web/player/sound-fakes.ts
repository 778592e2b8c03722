// A fake AudioContext that records what is played, for tests.
import type { SoundContext } from './sound-schedule.ts';

interface GainEvent {
  readonly time: number;
  readonly value: number;
  readonly isRamp: boolean;
}

class FakeParam {
  value = 1;
  events: GainEvent[] = [];

  setValueAtTime(value: number, time: number): void {
    this.events.push({ time, value, isRamp: false });
  }

  linearRampToValueAtTime(value: number, time: number): void {
    this.events.push({ time, value, isRamp: true });
  }

  cancelScheduledValues(time: number): void {
    this.events = this.events.filter((event) => event.time < time);
  }

  /** The value at a time. */
  at(time: number): number {
    let before: GainEvent = { time: 0, value: this.value, isRamp: false };
    for (const event of [...this.events].sort((a, b) => a.time - b.time)) {
      if (event.time > time) {
        const part = (time - before.time) / (event.time - before.time);
        return event.isRamp ? before.value + part * (event.value - before.value) : before.value;
      }
      before = event;
    }
    return before.value;
  }
}

class FakeGain {
  readonly gain = new FakeParam();

  connect(): void {
    // Everything is connected to one output.
  }
}

interface FakeBuffer {
  readonly length: number;
  readonly rate: number;
  readonly channels: Float32Array[];
  copyToChannel(samples: Float32Array, channel: number): void;
}

class FakeSource {
  buffer: FakeBuffer | null = null;
  gain: FakeGain | undefined;
  startTime = Infinity;
  stopTime = Infinity;

  connect(gain: FakeGain): void {
    this.gain = gain;
  }

  start(time: number): void {
    this.startTime = time;
  }

  stop(time: number): void {
    this.stopTime = time;
  }

  get endTime(): number {
    return Math.min(this.stopTime, this.startTime + (this.buffer?.length ?? 0) / (this.buffer?.rate ?? 1));
  }
}

export class FakeAudio {
  currentTime = 0;
  readonly sampleRate = 8_000;
  readonly baseLatency = 0.01;
  outputLatency = 0.02;
  readonly sources: FakeSource[] = [];

  createGain(): FakeGain {
    return new FakeGain();
  }

  createBuffer(count: number, length: number, rate: number): FakeBuffer {
    const channels = Array.from({ length: count }, () => new Float32Array(length));
    return { length, rate, channels, copyToChannel: (samples, channel) => channels[channel]?.set(samples) };
  }

  createBufferSource(): FakeSource {
    const source = new FakeSource();
    this.sources.push(source);
    return source;
  }

  get context(): SoundContext {
    return this as unknown as SoundContext;
  }

  /** The sample that is heard at a time of the context: the sum of all that plays. */
  heard(time: number): number {
    let sum = 0;
    for (const { buffer, gain, startTime, endTime } of this.sources) {
      if (!buffer || time < startTime || time >= endTime) continue;
      const index = Math.min(buffer.length - 1, Math.floor((time - startTime) * buffer.rate + 1e-6));
      const sample = buffer.channels[0]?.[index] ?? 0;
      sum += sample * (gain?.gain.at(time) ?? 0);
    }
    return sum;
  }
}
