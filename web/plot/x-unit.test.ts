import { expect, test } from 'vitest';
import { xUnit, xUnitText } from './x-unit.ts';

test.each([
  [1_700_000_000, 'seconds'],
  [1_700_000_000.25, 'seconds'],
  [1_700_000_000_000_000, 'microseconds'],
  [1_700_000_000_000_000_000, 'nanoseconds'],
])('%d looks like a time in %s', (x, name) => {
  const unit = xUnit(x);
  expect(unit).toMatchObject({ name });
  const text = unit === undefined ? '' : xUnitText(unit, ['temp']);
  expect(text).toContain(`The x values of “temp” look like ${name} since 1970, so it is an X-Y series.`);
  expect(text).toContain('send milliseconds (x');
});

test.each([0, 1, -1_700_000_000, 900_000_000, 4_200_000_000, 1e300, NaN])('%d is no time', (x) => {
  expect(xUnit(x)).toBeUndefined();
});

test('the hint names the series, and tells how to change its kind', () => {
  const unit = xUnit(1.7e9) ?? 'ms';
  const rest = 'under a new name, or delete the series first.';
  expect(xUnitText(unit)).toContain('The x values of this series look like seconds');
  expect(xUnitText(unit)).toContain(`(x × 1000) ${rest}`);
  expect(xUnitText(unit, ['a', 'b', 'c', 'd', 'e'])).toContain('of “a”, “b”, “c” and 2 more look');
  expect(xUnitText(xUnit(1.7e12) ?? unit, ['a'])).toContain('times in ms, but the first one was not');
});
