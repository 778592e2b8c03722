// The browser's part of sound: AudioContexts, the file with the decoders, and the gestures that permit sound.
import type { SoundBrowser } from './sound-control.ts';
import type { SoundOutput } from './sound-output.ts';

/** A separate file, because most pages play no sound. */
const OUTPUT = new URL(/* @vite-ignore */ './sound.js', import.meta.url).href;
const GESTURES = ['pointerup', 'keydown'] as const;

/** The class of the buttons that turn sound on. They start it themselves. */
export const SOUND_BUTTON = 'sound';

function createContext(rate: number): AudioContext | undefined {
  if (typeof AudioContext !== 'function') return undefined;
  try {
    // At the rate of the camera pieces of sound join without interpolation.
    return new AudioContext({ sampleRate: rate, latencyHint: 'interactive' });
  } catch {
    return new AudioContext({ latencyHint: 'interactive' });
  }
}

export const browserSound: SoundBrowser = {
  createContext,
  load: async () => {
    const module = (await import(/* @vite-ignore */ OUTPUT)) as { SoundOutput: typeof SoundOutput };
    return module.SoundOutput;
  },
  onUse: (callback) => {
    const used = (event: Event): void => {
      const isButton = event
        .composedPath()
        .some((target) => target instanceof Element && target.classList.contains(SOUND_BUTTON));
      if (!isButton) callback();
    };
    for (const gesture of GESTURES) window.addEventListener(gesture, used, true);
    return () => {
      for (const gesture of GESTURES) window.removeEventListener(gesture, used, true);
    };
  },
  storage: () => localStorage,
  get isSecure() {
    return isSecureContext;
  },
};
