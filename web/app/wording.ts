// Small things that several panels say or make of what a person typed.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long `ms` is, in its largest whole unit. */
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
  return end <= now ? 'has ended' : `ends in ${span(end - now, Math.round)}`;
}

/** A moment as this browser's owner writes it. */
export function moment(ms: number): string {
  return new Date(ms).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

/** A room made from a camera's name, and no other's: letters and digits, in small, with dashes between. */
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

/** What a browser's description of itself most likely means. Browsers name each other, so the order counts. */
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
 * What to say of a password while it is typed. Length is what counts; there are no rules about kinds of characters.
 * It is a hint: whether a password will do is the hub's to say.
 */
export function strength(password: string, name: string): Strength {
  const length = Array.from(password).length;
  const missing = SHORTEST_PASSWORD - length;
  if (missing > 0) {
    const more = missing === 1 ? 'one more character' : `${missing} more characters`;
    return { grade: 'short', words: `At least ${SHORTEST_PASSWORD} characters: ${more}.` };
  }
  const small = password.toLowerCase();
  if (new Set(small).size < 5) return { grade: 'weak', words: 'Easy to guess: the same few characters.' };
  if (runs(small) > length / 2) return { grade: 'weak', words: 'Easy to guess: a row of keys.' };
  const own = name.trim().toLowerCase();
  if (small.includes('password') || small.includes('ocelli') || (own.length > 2 && small.includes(own))) {
    return { grade: 'weak', words: 'Easy to guess: it holds a name or a usual word.' };
  }
  return length < 15
    ? { grade: 'fair', words: 'Good. Four or five words in a row are better still.' }
    : { grade: 'strong', words: 'Strong.' };
}

/** How many characters follow their neighbour on the keyboard or in the alphabet, forwards or backwards. */
function runs(text: string): number {
  let count = 0;
  for (let at = 1; at < text.length; at++) {
    const pair = text.slice(at - 1, at + 1);
    const back = `${pair.charAt(1)}${pair.charAt(0)}`;
    if (ROWS.some((row) => row.includes(pair) || row.includes(back))) count++;
  }
  return count;
}
