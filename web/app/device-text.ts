// Texts about devices that push, and the settings and commands generated for them.
import type { NewStreamKey, ConnectedDevice, StreamKey } from './shapes.ts';
import { formatDuration } from './wording.ts';

/** A device's key, with its app. */
export interface DeviceKey extends StreamKey {
  readonly app: string;
}

/** Returns the room without the app's prefix. */
export function shortRoom(app: string, room: string): string {
  return room.startsWith(`${app}-`) ? room.slice(app.length + 1) : room;
}

/** Returns the lines of the sketch's `settings.h` that the hub can fill in. */
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
  if (secure) lines.push(`// HUB_CA: ${origin}/ca.h has the certificate if the hub uses its own authority.`);
  return `${lines.join('\n')}\n`;
}

/** Returns the link for a phone or laptop. The key is in the hash, which browsers do not send to servers. */
export function publishLink(origin: string, app: string, key: NewStreamKey): string {
  const parameters = new URLSearchParams({ app, room: shortRoom(app, key.room), key: key.streamKey });
  return `${origin}/publish#${parameters.toString()}`;
}

/**
 * Returns the command that tests a key without a device. The key is passed in the environment, so it does not appear in
 * process lists.
 */
export function testCommand(origin: string, app: string, key: NewStreamKey): string {
  const appOption = app === 'live' ? '' : ` --app ${app}`;
  return `OCELLI_KEY=${key.streamKey} ocelli simulate --url ${origin}${appOption} --room ${shortRoom(app, key.room)}`;
}

/** Returns the numeric fields of the device's last stats message. */
export function reportedNumbers(device: ConnectedDevice): Readonly<Record<string, number>> {
  let stats: unknown;
  try {
    stats = JSON.parse(device.lastStatsJson ?? '{}');
  } catch {
    return {};
  }
  if (typeof stats !== 'object' || stats === null) return {};
  const numbers = Object.entries(stats).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  );
  return Object.fromEntries(numbers);
}

/** Describes a device in one line: frame rate, signal strength, free memory, uptime of the connection. */
export function deviceSummary(device: ConnectedDevice, now: number): string {
  const { fps, rssi, heapFree } = reportedNumbers(device);
  const parts = [
    fps === undefined ? undefined : `${Math.round(fps * 10) / 10} fps`,
    rssi === undefined ? undefined : `Wi-Fi ${rssi} dBm`,
    heapFree === undefined ? undefined : `${Math.round(heapFree / 1024)} KiB of memory free`,
    `connected for ${formatDuration(now - device.connectedAt)}`,
  ];
  return parts.filter((part) => part !== undefined).join(' · ');
}

/** Describes a device's dropped frames; empty if there are none. */
export function droppedSummary({ aboveRate, notJpeg }: ConnectedDevice): string {
  const parts = [];
  if (aboveRate > 0) parts.push(`${aboveRate.toLocaleString('en')} above the app's limit`);
  if (notJpeg > 0) parts.push(`${notJpeg.toLocaleString('en')} not JPEG`);
  return parts.length === 0 ? '' : `Dropped: ${parts.join(', ')}`;
}
