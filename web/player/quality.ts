// The viewer's choice of how much of a camera is shown, and the words for what is shown. No DOM.
import type { Lowered, Quality } from './messages.ts';

/** The choices, and their names in the menu. */
export const QUALITIES: readonly (readonly [Quality, string])[] = [
  ['auto', 'Auto'],
  ['best', 'Best picture'],
  ['sub', 'Smaller picture'],
  ['keys', 'Key frames only'],
];

export function parseQuality(value: string | null): Quality {
  return QUALITIES.find(([quality]) => quality === value)?.[0] ?? 'auto';
}

const CAUSES: Readonly<Record<Lowered['cause'], string>> = {
  network: 'Slow network',
  device: 'Slow device',
  decoder: 'Decoder failed',
};

const STEPS: Readonly<Record<Lowered['step'], string>> = {
  full: '',
  software: '',
  sub: 'smaller picture',
  keys: 'key frames only',
  mpeg1: 'simpler video',
  jpeg: 'fewer pictures',
};

/** Returns a text such as "Slow network: smaller picture"; empty if the viewer sees no difference. */
export function loweredText({ step, cause }: Lowered): string {
  return STEPS[step] === '' ? '' : `${CAUSES[cause]}: ${STEPS[step]}`;
}
