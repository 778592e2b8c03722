import { expect, test } from 'vitest';
import { NetworkProbe, chooseCodec, nextCodec, choiceReason, parseCodec } from './codec-choice.ts';

test('an explicit codec takes precedence over network conditions', () => {
  const [fast, slow] = [
    { slow: false, sockets: true },
    { slow: true, sockets: true },
  ];
  expect(chooseCodec('auto', fast)).toBe('jpeg');
  expect(chooseCodec('auto', slow)).toBe('mpeg1');
  expect(chooseCodec('jpeg', slow)).toBe('jpeg');
  expect(chooseCodec('mpeg1', fast)).toBe('mpeg1');
  expect(choiceReason('auto', slow)).toBe('chosen to suit the network');
  expect(choiceReason('jpeg', slow)).toBe('set on this tile');
  expect(parseCodec('mpeg1')).toBe('mpeg1');
  expect(parseCodec('h265')).toBe('auto');
  expect(parseCodec(null)).toBe('auto');
});

test('without WebSockets the codec is JPEG, with the reason', () => {
  const network = { slow: true, sockets: false };
  expect(chooseCodec('auto', network)).toBe('jpeg');
  expect(chooseCodec('mpeg1', network)).toBe('jpeg');
  expect(choiceReason('mpeg1', network)).toBe('because WebSockets are blocked');
  expect(choiceReason('jpeg', network)).toBe('set on this tile');
});

test('the first click selects the other codec, the second returns to auto', () => {
  expect(nextCodec('auto', 'jpeg')).toBe('mpeg1');
  expect(nextCodec('auto', 'mpeg1')).toBe('jpeg');
  expect(nextCodec('mpeg1', 'mpeg1')).toBe('auto');
});

/**
 * Feeds the probe four times a second with constant rates of sent and dropped frames. Returns whether it found the
 * network slow.
 */
function feedProbe(
  probe: NetworkProbe,
  seconds: number,
  sent: number,
  dropped: number,
  age: number,
): boolean {
  for (let step = 0; step <= seconds * 4; step++) {
    const time = step / 4;
    probe.update(time * 1000, { sent: sent * time, dropped: dropped * time }, age);
  }
  return probe.slow;
}

test('the network is slow if pictures are late and most are dropped for several seconds', () => {
  expect(feedProbe(new NetworkProbe(), 10, 3, 12, 900)).toBe(true);
  expect(feedProbe(new NetworkProbe(), 4, 3, 12, 900), 'a pause').toBe(false);
  expect(feedProbe(new NetworkProbe(), 10, 12, 3, 900), 'a camera with a high latency').toBe(false);
  expect(feedProbe(new NetworkProbe(), 10, 3, 12, 60), 'a reduced rate that was requested').toBe(false);
});

test('a new subscription restarts the measurement, and a slow network stays slow', () => {
  const probe = new NetworkProbe();
  probe.update(0, { sent: 100, dropped: 0 }, 900);
  expect(probe.update(6_000, { sent: 1, dropped: 50 }, 900)).toBe(false);
  expect(probe.update(12_000, { sent: 2, dropped: 90 }, 900)).toBe(true);
  expect(feedProbe(probe, 10, 20, 0, 10)).toBe(true);
});
