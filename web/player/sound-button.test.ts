import { expect, test } from 'vitest';
import { soundLabel, soundTitle } from './sound-button.ts';

test('the button says what the sound of its camera does', () => {
  expect(soundLabel('Front door', { state: 'muted', reason: '' })).toBe('Sound of Front door');
  expect(soundLabel('Front door', { state: 'on', reason: '' })).toBe('Sound of Front door');
  const waiting = { state: 'waiting', reason: '' } as const;
  expect(soundLabel('Front door', waiting)).toBe('Sound of Front door, waiting for a click');
  expect(soundTitle(waiting)).toBe('Click for sound: the browser starts it only then');
  const none = { state: 'unavailable', reason: 'This browser cannot play AAC sound' } as const;
  expect(soundLabel('Front door', none)).toBe('Sound of Front door: This browser cannot play AAC sound');
  expect(soundTitle(none)).toBe('This browser cannot play AAC sound');
});
