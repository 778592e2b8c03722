// Small texts and conversions that several panels share.
import type { LocalCamera } from './shapes.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Formats a duration in its largest whole unit. */
export function span(ms: number, whole = Math.floor): string {
  const length = Math.max(0, ms);
  if (length < 2 * MINUTE) return `${whole(length / SECOND)} s`;
  if (length < 2 * HOUR) return `${whole(length / MINUTE)} min`;
  if (length < 2 * DAY) return `${whole(length / HOUR)} h`;
  return `${whole(length / DAY)} days`;
}

export function ago(then: number, now: number): string {
  return now - then < MINUTE ? 'just now' : `${span(now - then)} ago`;
}

export function ending(end: number, now: number): string {
  return end <= now ? 'expired' : `expires in ${span(end - now, Math.round)}`;
}

/** Formats a time in the browser's locale. */
export function moment(ms: number): string {
  return new Date(ms).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

/** Returns the configuration lines for a camera plugged into the hub's machine. */
export function configLines({ source, name }: LocalCamera): string {
  // A JSON string is a valid TOML string unless it contains a delete character, which no device name does.
  const named = name === '' ? '' : `name = ${JSON.stringify(name)}\n`;
  return `[[camera]]\nid = ${JSON.stringify(roomFor(name))}\n${named}source = ${JSON.stringify(source)}\n`;
}

/** Makes a unique room name from a camera's name: lowercase letters and digits, separated by dashes. */
export function roomFor(name: string, taken: readonly string[] = []): string {
  const plain = name
    .replaceAll(/ß/gi, 'ss')
    .replaceAll(/æ/gi, 'ae')
    .replaceAll(/ø/gi, 'o')
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 100)
    .replaceAll(/^-+|-+$/g, '');
  const room = plain === '' ? 'camera' : plain;
  if (!taken.includes(room)) return room;
  for (let number = 2; ; number++) {
    if (!taken.includes(`${room}-${number}`)) return `${room}-${number}`;
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
  const first = (known: typeof BROWSERS): string | undefined => known.find(([sign]) => sign.test(agent))?.[1];
  const browser = first(BROWSERS) ?? 'A browser';
  const system = first(SYSTEMS);
  return system === undefined ? browser : `${browser} on ${system}`;
}

export const SHORTEST_PASSWORD = 10;

export interface Strength {
  readonly grade: 'short' | 'weak' | 'fair' | 'strong';
  readonly words: string;
}

const ROWS = [
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
  const missing = SHORTEST_PASSWORD - length;
  if (missing > 0) {
    const more = missing === 1 ? 'one more character' : `${missing} more characters`;
    return { grade: 'short', words: `At least ${SHORTEST_PASSWORD} characters. Add ${more}.` };
  }
  const small = password.toLowerCase();
  if (new Set(small).size < 5) return { grade: 'weak', words: 'Easy to guess: it repeats a few characters.' };
  if (runs(small) > length / 2) return { grade: 'weak', words: 'Easy to guess: it is a row of keys.' };
  const own = name.trim().toLowerCase();
  if (small.includes('password') || small.includes('ocelli') || (own.length > 2 && small.includes(own))) {
    return { grade: 'weak', words: 'Easy to guess: it contains a name or a common word.' };
  }
  return length < 15
    ? { grade: 'fair', words: 'Good. Four or five unrelated words are even better.' }
    : { grade: 'strong', words: 'Strong.' };
}

/** Counts the characters that are next to the previous one on the keyboard or in the alphabet, in either direction. */
function runs(text: string): number {
  let count = 0;
  for (let at = 1; at < text.length; at++) {
    const pair = text.slice(at - 1, at + 1);
    const back = `${pair.charAt(1)}${pair.charAt(0)}`;
    if (ROWS.some((row) => row.includes(pair) || row.includes(back))) count++;
  }
  return count;
}
