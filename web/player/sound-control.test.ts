import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Camera, SoundInfo } from '../client/events.ts';
import type { SoundUnit } from '../client/frame.ts';
import { SoundControl, type SoundBrowser, type SoundSource } from './sound-control.ts';
import type { SoundOptions, SoundOutput } from './sound-output.ts';

const ALAW: SoundInfo = { codec: 'pcma', type: 'alaw', rate: 8_000, channels: 1 };
const AAC: SoundInfo = { codec: 'aac', type: 'mp4a.40.2', rate: 48_000, channels: 2, config: '1190' };

class FakeContext {
  state = 'suspended';
  onstatechange: (() => void) | null = null;

  constructor(
    readonly rate: number,
    readonly browser: FakeBrowser,
  ) {}

  resume(): Promise<void> {
    if (this.browser.isAllowed) this.become('running');
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.state = 'closed';
    return Promise.resolve();
  }

  become(state: string): void {
    this.state = state;
    this.onstatechange?.();
  }
}

class FakeOutput {
  readonly units: SoundUnit[] = [];
  readonly ages: number[] = [];
  readonly volumes: number[] = [];
  isClosed = false;

  constructor(readonly options: SoundOptions) {
    (options.context as unknown as FakeContext).browser.outputs.push(this);
  }

  receive(unit: SoundUnit): void {
    this.units.push(unit);
  }

  pictured(age: number): void {
    this.ages.push(age);
  }

  setVolume(volume: number): void {
    this.volumes.push(volume);
  }

  close(): void {
    this.isClosed = true;
  }
}

class FakeBrowser implements SoundBrowser {
  /** Whether the page may make sound. */
  isAllowed = true;
  isSecure = true;
  isBlocked = false;
  loadError: Error | undefined;
  readonly contexts: FakeContext[] = [];
  readonly outputs: FakeOutput[] = [];
  readonly stored = new Map<string, string>();
  #listeners = new Set<() => void>();

  createContext(rate: number): AudioContext {
    const context = new FakeContext(rate, this);
    this.contexts.push(context);
    return context as unknown as AudioContext;
  }

  load(): Promise<new (options: SoundOptions) => SoundOutput> {
    if (this.loadError) return Promise.reject(this.loadError);
    return Promise.resolve(FakeOutput as unknown as new (options: SoundOptions) => SoundOutput);
  }

  onUse(callback: () => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  storage(): Storage {
    if (this.isBlocked) throw new Error('blocked');
    return {
      getItem: (key: string) => this.stored.get(key) ?? null,
      setItem: (key: string, value: string) => this.stored.set(key, value),
    } as unknown as Storage;
  }

  /** The person uses the page. */
  use(): void {
    this.isAllowed = true;
    for (const listener of [...this.#listeners]) listener();
  }

  get waits(): boolean {
    return this.#listeners.size > 0;
  }
}

class FakeHub implements SoundSource {
  readonly cameras = new Map<string, Camera>();
  readonly shown = new Set<string>();
  /** What was requested of the hub, in order. */
  readonly requests: (string | undefined)[] = [];
  changes = 0;

  constructor(readonly hub = 'http://hub/') {
    this.set('door', ALAW);
    this.set('yard', AAC);
    this.set('mute', undefined);
  }

  set(id: string, sound: SoundInfo | undefined): void {
    this.cameras.set(id, { id, name: id, state: 'live', codecs: [], streams: [], ...(sound && { sound }) });
    this.shown.add(id);
  }

  cameraOf(id: string): Camera | undefined {
    return this.cameras.get(id);
  }

  isHeard(id: string): boolean {
    return this.shown.has(id);
  }

  now(): number {
    return 0;
  }

  listen(camera: string | undefined): void {
    this.requests.push(camera);
  }

  changed(): void {
    this.changes += 1;
  }
}

let browser: FakeBrowser;
let hub: FakeHub;
let controls: SoundControl[];

beforeEach(() => {
  browser = new FakeBrowser();
  hub = new FakeHub();
  controls = [];
});
afterEach(() => controls.forEach((control) => control.close()));

function open(source = hub): SoundControl {
  const control = new SoundControl(browser, source);
  controls.push(control);
  control.update();
  return control;
}

const loaded = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
const stateOf = (control: SoundControl, camera: string): string | undefined => control.of(camera)?.state;

test('every camera is muted at first, and only cameras with sound have a state', () => {
  const control = open();
  expect(['door', 'yard', 'mute', 'nope'].map((id) => stateOf(control, id))).toEqual([
    'muted',
    'muted',
    undefined,
    undefined,
  ]);
  expect(browser.contexts).toEqual([]);
});

test('a camera is requested of the hub once its output is ready, and released again', async () => {
  const control = open();
  control.toggle('door');
  expect(stateOf(control, 'door')).toBe('on');
  expect(hub.requests).toEqual([]);
  await loaded();
  expect(hub.requests).toEqual(['door']);
  expect(browser.contexts[0]?.rate).toBe(8_000);
  control.receive({ camera: 'door' } as SoundUnit);
  control.receive({ camera: 'yard' } as SoundUnit);
  control.pictured('door', 80);
  control.pictured('yard', 90);
  expect(browser.outputs[0]?.units).toHaveLength(1);
  expect(browser.outputs[0]?.ages).toEqual([80]);
  control.toggle('door');
  expect(stateOf(control, 'door')).toBe('muted');
  expect(hub.requests).toEqual(['door', undefined]);
  expect(browser.outputs[0]?.isClosed).toBe(true);
});

test('one camera at a time has sound', async () => {
  const control = open();
  control.toggle('door');
  await loaded();
  control.toggle('yard');
  await loaded();
  expect([stateOf(control, 'door'), stateOf(control, 'yard')]).toEqual(['muted', 'on']);
  expect(hub.requests).toEqual(['door', undefined, 'yard']);
  expect(browser.outputs.map(({ isClosed }) => isClosed)).toEqual([true, false]);
});

test('one camera at a time has sound, of all hubs of the page', async () => {
  const other = new FakeHub('http://other/');
  const [one, two] = [open(), open(other)];
  one.toggle('door');
  await loaded();
  two.toggle('door');
  await loaded();
  expect([stateOf(one, 'door'), stateOf(two, 'door')]).toEqual(['muted', 'on']);
  expect(hub.requests.at(-1)).toBeUndefined();
  expect(other.requests).toEqual(['door']);
});

test('where the browser demands it, sound waits until the person uses the page', async () => {
  browser.isAllowed = false;
  const control = open();
  control.choose('door', true);
  await loaded();
  expect(stateOf(control, 'door')).toBe('waiting');
  expect(hub.requests).toEqual([]);
  browser.use();
  expect(stateOf(control, 'door')).toBe('on');
  expect(hub.requests).toEqual(['door']);
  expect(browser.waits).toBe(false);
});

test('the button of a camera that waits starts its sound', async () => {
  browser.isAllowed = false;
  const control = open();
  control.choose('door', true);
  await loaded();
  browser.isAllowed = true;
  control.toggle('door');
  expect(stateOf(control, 'door')).toBe('on');
  expect(hub.requests).toEqual(['door']);
});

test('sound that the system interrupts waits again', async () => {
  const control = open();
  control.toggle('door');
  await loaded();
  browser.isAllowed = false;
  browser.contexts[0]?.become('interrupted');
  expect(stateOf(control, 'door')).toBe('waiting');
  expect(hub.requests).toEqual(['door', undefined]);
  browser.use();
  expect(hub.requests).toEqual(['door', undefined, 'door']);
});

test('the choice and the volume are remembered, and after a reload the browser decides when sound starts', async () => {
  const before = open();
  before.toggle('door');
  before.volume = 0.5;
  await loaded();
  before.close();
  browser.isAllowed = false;
  const after = open();
  expect(stateOf(after, 'door')).toBe('waiting');
  browser.use();
  await loaded();
  expect(stateOf(after, 'door')).toBe('on');
  expect(browser.outputs.at(-1)?.options.volume).toBe(0.5);
  after.toggle('door');
  after.close();
  expect(stateOf(open(), 'door')).toBe('muted');
});

test('another hub does not get the choice, and nothing secret is stored', () => {
  open().toggle('door');
  controls[0]?.close();
  expect([...browser.stored]).toEqual([
    ['ocelli.sound', JSON.stringify({ hub: 'http://hub/', camera: 'door', volume: 1 })],
  ]);
  expect(stateOf(open(new FakeHub('http://other/')), 'door')).toBe('muted');
});

test('a page that shows one hub twice, with different tokens, plays it once', async () => {
  open().toggle('door');
  controls[0]?.close();
  const [one, two] = [open(), open()];
  await loaded();
  expect([stateOf(one, 'door'), stateOf(two, 'door')]).toEqual(['on', 'muted']);
});

test.each(['{', '7', '{"hub":1,"camera":2,"volume":"loud"}', '{"volume":9}'])(
  'a damaged memory is ignored: %s',
  (text) => {
    browser.stored.set('ocelli.sound', text);
    const control = open();
    expect(stateOf(control, 'door')).toBe('muted');
    expect(control.volume).toBe(1);
  },
);

test('blocked storage only means that nothing is remembered', async () => {
  browser.isBlocked = true;
  const control = open();
  control.toggle('door');
  await loaded();
  expect(stateOf(control, 'door')).toBe('on');
});

test('the sound of a camera that is not shown, or that is gone, ends and comes back', async () => {
  const control = open();
  control.toggle('door');
  await loaded();
  hub.shown.delete('door');
  control.update();
  hub.shown.add('door');
  control.update();
  await loaded();
  hub.cameras.delete('door');
  control.update();
  hub.set('door', ALAW);
  control.update();
  await loaded();
  expect(hub.requests).toEqual(['door', undefined, 'door', undefined, 'door']);
});

test('another codec gets another output', async () => {
  const control = open();
  control.toggle('door');
  await loaded();
  hub.set('door', AAC);
  control.update();
  await loaded();
  expect(browser.outputs.map(({ options }) => options.sound.codec)).toEqual(['pcma', 'aac']);
  expect(browser.contexts.map(({ rate }) => rate)).toEqual([8_000, 48_000]);
});

test('sound that the browser cannot decode is unavailable, with the reason', async () => {
  const control = open();
  control.toggle('yard');
  await loaded();
  browser.outputs[0]?.options.failed();
  expect(control.of('yard')).toEqual({ state: 'unavailable', reason: 'This browser cannot play AAC sound' });
  expect(hub.requests).toEqual(['yard', undefined]);
  control.toggle('door');
  expect(stateOf(control, 'door')).toBe('on');
});

test('Opus needs a secure page', () => {
  hub.set('door', { codec: 'opus', type: 'opus', rate: 48_000, channels: 2 });
  browser.isSecure = false;
  const control = open();
  control.toggle('door');
  expect(control.of('door')).toEqual({
    state: 'unavailable',
    reason: 'Opus sound needs a page over https',
  });
  expect(browser.contexts).toEqual([]);
});

test('a player that cannot be loaded is not the fault of the browser', async () => {
  browser.loadError = new Error('offline');
  const control = open();
  control.toggle('door');
  await loaded();
  expect(control.of('door')?.reason).toBe('The hub did not send its sound player; reload the page');
});

test('sound that an attribute turns on is not remembered', async () => {
  const control = open();
  control.begin('door');
  await loaded();
  expect(stateOf(control, 'door')).toBe('on');
  expect(browser.stored.size).toBe(0);
});
