// Remembers in this browser which camera has sound, and how loud it is.

export interface SoundChoice {
  /** The address of the hub, without its token. */
  readonly hub: string;
  readonly camera: string;
}

export interface RememberedSound {
  /** Missing while sound is off. */
  readonly choice?: SoundChoice;
  /** From 0 to 1. */
  readonly volume: number;
}

type Storage = Pick<globalThis.Storage, 'getItem' | 'setItem'>;

const KEY = 'ocelli.sound';
const SILENT: RememberedSound = { volume: 1 };

export function rememberedSound(storage: () => Storage): RememberedSound {
  try {
    const value: unknown = JSON.parse(storage().getItem(KEY) ?? 'null');
    const { hub, camera, volume } = (value ?? {}) as Record<string, unknown>;
    return {
      ...(typeof hub === 'string' && typeof camera === 'string' && { choice: { hub, camera } }),
      volume: typeof volume === 'number' && volume >= 0 && volume <= 1 ? volume : 1,
    };
  } catch {
    // Storage may be blocked or damaged. The choice then lasts until the page is closed.
    return SILENT;
  }
}

export function rememberSound({ choice, volume }: RememberedSound, storage: () => Storage): void {
  try {
    storage().setItem(KEY, JSON.stringify({ ...choice, volume }));
  } catch {
    // See rememberedSound.
  }
}
