// What is said of cameras that push, and what is written for them to read.
import type { NewStreamKey, PushingDevice, StreamKey } from './shapes.ts';
import { span } from './wording.ts';

/** A key of one app. */
export interface Board extends StreamKey {
  readonly app: string;
}

/** A room as people write it: without the app's prefix, if that is its name. */
export function shortRoom(app: string, room: string): string {
  return room.startsWith(`${app}-`) ? room.slice(app.length + 1) : room;
}

/** `settings.h` of the board's sketch, as far as the hub knows what belongs into it. */
export function firmwareSettings(origin: string, app: string, key: NewStreamKey): string {
  const url = new URL(origin);
  const secure = url.protocol === 'https:';
  const lines = [
    `#define HUB_HOST ${JSON.stringify(url.hostname)}`,
    `#define HUB_APP ${JSON.stringify(app)}`,
    `#define HUB_ROOM ${JSON.stringify(shortRoom(app, key.room))}`,
    `#define HUB_KEY ${JSON.stringify(key.streamKey)}`,
    `#define HUB_TLS ${secure ? 1 : 0}`,
    `#define HUB_PORT ${url.port === '' ? (secure ? 443 : 80) : url.port}`,
  ];
  if (secure) lines.push(`// HUB_CA: ${origin}/ca.h has the certificate, if the hub's authority is its own.`);
  return `${lines.join('\n')}\n`;
}

/** The address that makes a phone or a laptop this camera. What is secret stands behind the #, which nobody is sent. */
export function publishLink(origin: string, app: string, key: NewStreamKey): string {
  const given = new URLSearchParams({ app, room: shortRoom(app, key.room), key: key.streamKey });
  return `${origin}/publish#${given.toString()}`;
}

/** The line that tries a key without a board. The key is read by the program, so it stands in no list of processes. */
export function tryLine(origin: string, app: string, key: NewStreamKey): string {
  const elsewhere = app === 'live' ? '' : ` --app ${app}`;
  return `OCELLI_KEY=${key.streamKey} ocelli simulate --url ${origin}${elsewhere} --room ${shortRoom(app, key.room)}`;
}

/** What a device told of itself, as far as it is numbers. */
export function figures(device: PushingDevice): Readonly<Record<string, number>> {
  let told: unknown;
  try {
    told = JSON.parse(device.lastStatsJson ?? '{}');
  } catch {
    return {};
  }
  if (typeof told !== 'object' || told === null) return {};
  const numbers = Object.entries(told).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  );
  return Object.fromEntries(numbers);
}

/** The device in a line: how fast, how it hears, what it has left, how long it is there. */
export function deviceWords(device: PushingDevice, now: number): string {
  const { fps, rssi, heapFree } = figures(device);
  const words = [
    fps === undefined ? undefined : `${Math.round(fps * 10) / 10} fps`,
    rssi === undefined ? undefined : `${rssi} dBm`,
    heapFree === undefined ? undefined : `${Math.round(heapFree / 1024)} KiB free`,
    `up ${span(now - device.connectedAt)}`,
  ];
  return words.filter((word) => word !== undefined).join(' · ');
}

/** What of its frames was not shown; empty if all was. */
export function dropWords({ aboveRate, notJpeg }: PushingDevice): string {
  const words = [];
  if (aboveRate > 0) words.push(`${aboveRate.toLocaleString('en')} above the app's rate`);
  if (notJpeg > 0) words.push(`${notJpeg.toLocaleString('en')} that were no JPEG`);
  return words.length === 0 ? '' : `Dropped: ${words.join(', ')}`;
}
