// Short texts and conversions that several panels share.
import type { LocalCamera, RoleName } from './shapes.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const ROLE_NAMES: Readonly<Record<RoleName, string>> = {
  viewer: 'Viewer',
  operator: 'Operator',
  admin: 'Administrator',
};

/** Formats a duration in its largest whole unit. */
export function formatDuration(ms: number, round = Math.floor): string {
  const length = Math.max(0, ms);
  if (length < 2 * MINUTE) return `${round(length / SECOND)} s`;
  if (length < 2 * HOUR) return `${round(length / MINUTE)} min`;
  if (length < 2 * DAY) return `${round(length / HOUR)} h`;
  return `${round(length / DAY)} days`;
}

export function ago(time: number, now: number): string {
  return now - time < MINUTE ? 'just now' : `${formatDuration(now - time)} ago`;
}

export function expiryText(end: number, now: number): string {
  return end <= now ? 'expired' : `expires in ${formatDuration(end - now, Math.round)}`;
}

/** Formats a time in the browser's locale. */
export function formatTime(ms: number): string {
  return new Date(ms).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

/** Returns the configuration lines for a camera plugged into the hub's machine. */
export function configLines({ source, name }: LocalCamera): string {
  // A JSON string is a valid TOML string unless it contains a delete character, and device names contain none.
  const nameLine = name === '' ? '' : `name = ${JSON.stringify(name)}\n`;
  return `[[camera]]\nid = ${JSON.stringify(roomFor(name))}\n${nameLine}source = ${JSON.stringify(source)}\n`;
}

/** Returns a unique room name derived from a camera's name: lowercase letters and digits, separated by dashes. */
export function roomFor(name: string, usedRooms: readonly string[] = []): string {
  const slug = name
    .replaceAll(/ß/gi, 'ss')
    .replaceAll(/æ/gi, 'ae')
    .replaceAll(/ø/gi, 'o')
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 100)
    .replaceAll(/^-+|-+$/g, '');
  const room = slug === '' ? 'camera' : slug;
  if (!usedRooms.includes(room)) return room;
  for (let number = 2; ; number++) {
    if (!usedRooms.includes(`${room}-${number}`)) return `${room}-${number}`;
  }
}

const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\//, 'Firefox'],
  [/Chrom(e|ium)\//, 'Chrome'],
  [/Safari\//, 'Safari'],
  [/curl\//, 'curl'],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
];

/** Guesses the browser and system from a user agent. The order matters, because browsers include each other's names. */
export function browserOf(agent: string): string {
  const first = (candidates: typeof BROWSERS): string | undefined =>
    candidates.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = first(BROWSERS) ?? 'A browser';
  const system = first(SYSTEMS);
  return system === undefined ? browser : `${browser} on ${system}`;
}

export const MIN_PASSWORD_LENGTH = 10;

export interface Strength {
  readonly grade: 'short' | 'weak' | 'fair' | 'strong';
  readonly text: string;
}

const SEQUENCES = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890',
  'qwertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  'qwertzuiop',
  'azertyuiop',
];

/**
 * Rates a password while it is typed, mainly by length; there are no rules about kinds of characters. It is only a hint:
 * the hub decides whether a password is accepted.
 */
export function strength(password: string, name: string): Strength {
  const length = Array.from(password).length;
  const missing = MIN_PASSWORD_LENGTH - length;
  if (missing > 0) {
    const more = missing === 1 ? 'one more character' : `${missing} more characters`;
    return { grade: 'short', text: `At least ${MIN_PASSWORD_LENGTH} characters. Add ${more}.` };
  }
  const lower = password.toLowerCase();
  if (new Set(lower).size < 5) return { grade: 'weak', text: 'Easy to guess: it repeats a few characters.' };
  if (countAdjacent(lower) > length / 2)
    return { grade: 'weak', text: 'Easy to guess: it is a row of keys.' };
  const userName = name.trim().toLowerCase();
  if (
    lower.includes('password') ||
    lower.includes('ocelli') ||
    (userName.length > 2 && lower.includes(userName))
  ) {
    return { grade: 'weak', text: 'Easy to guess: it contains a name or a common word.' };
  }
  return length < 15
    ? { grade: 'fair', text: 'Good. Four or five unrelated words are even better.' }
    : { grade: 'strong', text: 'Strong.' };
}

/** Counts the characters that are next to the previous one on the keyboard or in the alphabet, in either direction. */
function countAdjacent(text: string): number {
  let count = 0;
  for (let index = 1; index < text.length; index++) {
    const pair = text.slice(index - 1, index + 1);
    const reversed = `${pair.charAt(1)}${pair.charAt(0)}`;
    if (SEQUENCES.some((sequence) => sequence.includes(pair) || sequence.includes(reversed))) count++;
  }
  return count;
}
