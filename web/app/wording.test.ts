import { expect, test } from 'vitest';
import { ago, browserOf, configLines, expiryText, roomFor, formatDuration, strength } from './wording.ts';

const HOUR = 3_600_000;

test.each([
  [-5, '0 s'],
  [1_999, '1 s'],
  [119_999, '119 s'],
  [120_000, '2 min'],
  [2 * HOUR - 1, '119 min'],
  [2 * HOUR, '2 h'],
  [47 * HOUR, '47 h'],
  [48 * HOUR, '2 days'],
])('%d ms is shown as %s', (ms, expected) => {
  expect(formatDuration(ms)).toBe(expected);
});

test('times are shown relative to now', () => {
  expect(ago(1_000, 60_000)).toBe('just now');
  expect(ago(0, 3 * HOUR)).toBe('3 h ago');
  expect(expiryText(3 * HOUR, 0)).toBe('expires in 3 h');
  expect(expiryText(8 * HOUR, 900)).toBe('expires in 8 h');
  expect(expiryText(5, 5)).toBe('expired');
});

test.each([
  ['Front door', 'front-door'],
  ['  Große Küche №1 ', 'grosse-kuche-no1'],
  ['10.0.0.7', '10-0-0-7'],
  ['…', 'camera'],
  ['前門', 'camera'],
  ['x'.repeat(200), 'x'.repeat(100)],
])('the room of %j is %s', (name, room) => {
  expect(roomFor(name)).toBe(room);
  expect(room).toMatch(/^[A-Za-z0-9._-]{1,120}$/);
});

test('a room name that is already used gets a number', () => {
  expect(roomFor('Door', ['door', 'door-2'])).toBe('door-3');
});

test.each([
  ['', 'short'],
  ['123456789', 'short'],
  ['aaaaaaaaaaaa', 'weak'],
  ['1234567890', 'weak'],
  ['qwertyuiop1', 'weak'],
  ['9876543210', 'weak'],
  ['password-2026', 'weak'],
  ['robin-robin-9', 'weak'],
  ['green tapir', 'fair'],
  ['ein Tapir auf dem Dach', 'strong'],
  ['🦊🦊🦊🦊🦊', 'short'],
])('%j is %s', (password, grade) => {
  expect(strength(password, 'Robin').grade).toBe(grade);
});

test('the hint for a short password counts the missing characters', () => {
  expect(strength('12345678', '').text).toContain('2 more characters');
  expect(strength('123456789', '').text).toContain('one more character');
});

test.each([
  [
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
    'Chrome on Linux',
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0',
    'Edge on Windows',
  ],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1',
    'Safari on iOS',
  ],
  ['Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0', 'Firefox on Android'],
  ['', 'A browser'],
])('%j is %s', (agent, expected) => {
  expect(browserOf(agent)).toBe(expected);
});

test('the configuration lines of a camera quote any device name', () => {
  expect(configLines({ source: 'v4l2:/dev/video0', name: 'HD "Pro" Webcam: C920' })).toBe(
    '[[camera]]\nid = "hd-pro-webcam-c920"\nname = "HD \\"Pro\\" Webcam: C920"\nsource = "v4l2:/dev/video0"\n',
  );
  expect(configLines({ source: 'v4l2:/dev/video2', name: '' })).toBe(
    '[[camera]]\nid = "camera"\nsource = "v4l2:/dev/video2"\n',
  );
});
