import { expect, test } from 'vitest';
import {
  deviceSummary,
  droppedSummary,
  reportedNumbers,
  firmwareSettings,
  publishLink,
  shortRoom,
  testCommand,
} from './device-text.ts';
import type { ConnectedDevice } from './shapes.ts';

const KEY = { id: 'wsi_1', streamKey: 'wsk_abc', room: 'live-door', identity: 'wscam-abcd' };
const device = (fields: Partial<ConnectedDevice>): ConnectedDevice => ({
  streamId: 's',
  connectedAt: 0,
  frames: 1,
  aboveRate: 0,
  notJpeg: 0,
  lastStatsJson: null,
  ...fields,
});

test('the firmware settings contain every value that the hub can fill in', () => {
  expect(firmwareSettings('http://10.0.0.2:8080', 'live', KEY)).toBe(
    '#define HUB_HOST "10.0.0.2"\n#define HUB_APP "live"\n#define HUB_ROOM "door"\n#define HUB_KEY "wsk_abc"\n' +
      '#define HUB_TLS 0\n#define HUB_PORT 8080\n',
  );
  const secure = firmwareSettings('https://cams.example', 'live', KEY);
  expect(secure).toContain('#define HUB_TLS 1\n#define HUB_PORT 443\n');
  expect(secure).toContain('https://cams.example/ca.h');
});

test('the key is in the hash of the publish link', () => {
  const link = new URL(publishLink('https://cams.example', 'live', KEY));
  expect(link.search).toBe('');
  expect(link.hash).toBe('#app=live&room=door&key=wsk_abc');
});

test('the test command names the app unless it is the default', () => {
  expect(testCommand('http://h', 'live', KEY)).toBe(
    'OCELLI_KEY=wsk_abc ocelli simulate --url http://h --room door',
  );
  expect(testCommand('http://h', 'yard', { ...KEY, room: 'north-door' })).toContain(
    ' --app yard --room north-door',
  );
  expect(shortRoom('live', 'live-door')).toBe('door');
});

test('a device is described by the numbers it reports', () => {
  const stats = JSON.stringify({ type: 'stats', fps: 12.04, rssi: -61, heapFree: 41232, note: 'x' });
  expect(reportedNumbers(device({ lastStatsJson: stats }))).toEqual({
    fps: 12.04,
    rssi: -61,
    heapFree: 41232,
  });
  expect(deviceSummary(device({ lastStatsJson: stats }), 300_000)).toBe(
    '12 fps · Wi-Fi -61 dBm · 40 KiB of memory free · connected for 5 min',
  );
  for (const lastStatsJson of [null, 'rubbish', '3', 'null']) {
    expect(deviceSummary(device({ lastStatsJson }), 5_000)).toBe('connected for 5 s');
  }
  expect(droppedSummary(device({}))).toBe('');
  expect(droppedSummary(device({ aboveRate: 1200, notJpeg: 2 }))).toBe(
    "Dropped: 1,200 above the app's limit, 2 not JPEG",
  );
});
