import { describe, expect, it } from 'vitest';
import { liveEdge } from './live-edge.ts';
import type { SeriesPart } from './series-message.ts';
import { SeriesSet } from './series-set.ts';

const NOW = 1_700_000_000_000;
const [SECOND, MINUTE, HOUR, DAY] = [1000, 60_000, 3_600_000, 86_400_000];
const SPAN = 10 * MINUTE;

const followed = (offset: number, stopped = false) => ({ last: NOW + offset, newest: NOW + offset, stopped });

describe('the newest time shown', () => {
  it.each([
    ['all clocks are right', [-1 * SECOND, 0], 0],
    ['one is ahead by less than the hub reports', [2 * SECOND, 0], 2 * SECOND],
    ['one is ahead by an hour', [HOUR, 0], 3 * SECOND],
    ['one is ahead by ten years', [3650 * DAY, 0, -1 * SECOND], 3 * SECOND],
    ['one is behind by an hour', [-HOUR, 0], 0],
    ['all are behind by an hour', [-HOUR, -HOUR - SECOND], -HOUR],
    ['all are ahead by an hour', [HOUR, HOUR + SECOND], HOUR],
    ['one is ahead by a day and one behind by an hour', [DAY, -HOUR], -HOUR],
  ] as const)('is where most is to see if %s', (_, offsets, edge) => {
    const series = offsets.map((offset) => followed(offset));
    expect(liveEdge(series, NOW, SPAN) - NOW).toBe(edge);
    // At least one series has its newest sample in view.
    expect(series.some(({ newest }) => newest <= NOW + edge && newest > NOW + edge - SPAN)).toBe(true);
  });

  it('does not jump while an offset varies around the limit', () => {
    const edges = [1990, 2010, 2990, 3010, 4000].map((ahead) =>
      liveEdge([followed(ahead), followed(0)], NOW, MINUTE),
    );
    for (const [index, edge] of edges.entries())
      if (index > 0) expect(Math.abs(edge - (edges[index - 1] ?? 0))).toBeLessThan(1000);
  });

  it('follows series that still send', () => {
    // The only series with a right clock stopped yesterday.
    expect(liveEdge([followed(-DAY, true), followed(2 * DAY)], NOW, SPAN) - NOW).toBe(2 * DAY);
    // If all have stopped, the last samples are shown.
    expect(liveEdge([followed(-DAY, true), followed(-2 * DAY, true)], NOW, SPAN) - NOW).toBe(-DAY);
    // One that stopped a moment ago is in view, but does not hold the others back.
    expect(liveEdge([followed(-MINUTE, true), followed(0)], NOW, SPAN) - NOW).toBe(0);
  });

  it('ignores samples that were sent before a clock was set', () => {
    expect(liveEdge([{ last: NOW + HOUR, newest: NOW, stopped: false }], NOW, SPAN) - NOW).toBe(3 * SECOND);
  });

  it('is the greatest x if it is unknown when samples arrived', () => {
    expect(liveEdge([followed(0), followed(HOUR)], undefined, SPAN) - NOW).toBe(HOUR);
  });
});

describe('the time of the newest sample by the hub’s clock', () => {
  const part = (id: number, x: number, clockOffset?: number, xy = false): SeriesPart => ({
    id,
    name: `${id}`,
    unit: undefined,
    xy,
    clockOffset,
    gone: false,
    gap: 0,
    points: [[x, 1]],
  });

  it('does not depend on the clocks of sources, nor on X-Y series', () => {
    const set = new SeriesSet();
    expect(set.receivedAt).toBeUndefined();
    set.apply(
      [part(1, NOW + HOUR, HOUR), part(2, NOW - HOUR, -HOUR), part(3, 5e15, undefined, true)],
      true,
      0,
    );
    expect(set.receivedAt).toBe(NOW);
    set.apply([part(2, NOW - HOUR + 7, -HOUR)], false, 0);
    expect(set.receivedAt).toBe(NOW + 7);
  });

  it('is not taken from an incomplete message, whose last sample is not the newest', () => {
    const set = new SeriesSet();
    set.apply([part(1, NOW)], true, NOW);
    // A long series that arrives newest first; the hub has already received more than this message contains.
    const points = Array.from({ length: 60_000 }, (_, index) => [NOW - index * SECOND, 1] as const);
    set.apply([{ ...part(2, 0, -150_000 * SECOND), points }], false, NOW);
    expect(set.receivedAt).toBe(NOW);
  });

  it('is not taken from an x beyond all dates', () => {
    const set = new SeriesSet();
    set.apply([part(1, 1e300, 1e300), part(2, NOW)], true, NOW);
    expect(set.receivedAt).toBe(NOW);
    set.updateStopped(NOW);
    expect(set.all().map(({ stoppedSince }) => stoppedSince)).toEqual([undefined, undefined]);
  });
});
