import { expect, it } from 'vitest';
import { TIME_INCREMENTS, timeLabels, timeLabelWidth } from './time-axis.ts';
import { MAX_TIME } from './window.ts';

const local = (day: number, hour: number, minute: number, second = 0, ms = 0): number =>
  new Date(2026, 4, day, hour, minute, second, ms).getTime();

it('shows the time of each tick, and the day at the first tick and at each new day', () => {
  const labels = timeLabels([local(3, 23, 50), local(3, 23, 55), local(4, 0, 0), local(4, 0, 5)], 300_000);
  expect(labels.map((label) => label.split('\n')[0])).toEqual(['23:50', '23:55', '00:00', '00:05']);
  expect(labels.map((label) => label.includes('\n'))).toEqual([true, false, true, false]);
});

it('shows seconds, milliseconds or dates depending on the tick spacing', () => {
  const [first, second] = [local(3, 7, 5, 9), local(3, 7, 5, 9, 250)];
  expect(timeLabels([first], 1000)[0]).toMatch(/^07:05:09\n/);
  expect(timeLabels([first, second], 250)[1]).toMatch(/^07:05:09[.,]250$/);
  expect(timeLabels([first], 86_400_000)[0]).toContain('2026');
});

it('reserves the width of a label for each tick', () => {
  const minute = 60_000;
  expect(timeLabelWidth(60 * minute, 1000)).toBe(50);
  // Ticks every half minute would fit if their labels were as short as those of minutes.
  expect(timeLabelWidth(10 * minute, 1000)).toBe(84);
  expect(timeLabelWidth(10 * minute, 300)).toBe(50);
  expect(timeLabelWidth(2_000, 1000)).toBe(112);
  // Ticks of a day or more have dates with the year.
  expect(timeLabelWidth(400 * 24 * 60 * minute, 300)).toBe(100);
});

it('has ticks at any distance that fits the greatest range', () => {
  expect(
    TIME_INCREMENTS.every((value, index) => index === 0 || value > (TIME_INCREMENTS[index - 1] ?? 0)),
  ).toBe(true);
  const [span, room] = [2 * MAX_TIME, 300];
  const needed = (span * timeLabelWidth(span, room)) / room;
  expect(TIME_INCREMENTS.some((increment) => increment >= needed)).toBe(true);
});
