// Recognizes x values that are times in a unit other than ms. Such a series is an X-Y series.

const YEAR_2000 = 946_684_800;
const YEAR_2100 = 4_102_444_800;

interface Unit {
  readonly name: string;
  readonly perSecond: number;
  /** How to convert x to ms. */
  readonly conversion: string;
}

export type XUnit = Unit | 'ms';

const UNITS: readonly Unit[] = [
  { name: 'seconds', perSecond: 1, conversion: 'x × 1000' },
  { name: 'microseconds', perSecond: 1e6, conversion: 'x ÷ 1000' },
  { name: 'nanoseconds', perSecond: 1e9, conversion: 'x ÷ 1,000,000' },
];

/** Returns the unit in which x is a time since 1970, if it looks like one. */
export function xUnit(x: number): XUnit | undefined {
  const isTime = (perSecond: number): boolean => x >= YEAR_2000 * perSecond && x < YEAR_2100 * perSecond;
  return isTime(1000) ? 'ms' : UNITS.find(({ perSecond }) => isTime(perSecond));
}

/** Describes why these series, named or "this series", are X-Y series, and what to do. */
export function xUnitText(unit: XUnit, names?: readonly string[]): string {
  const shown = names?.slice(0, 3).map((name) => `“${name}”`) ?? [];
  const others = (names?.length ?? 0) - shown.length;
  const of =
    shown.length === 0 ? 'this series' : `${shown.join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
  const rest = 'under a new name, or delete the series first';
  if (unit === 'ms')
    return `The x values of ${of} are times in ms, but the first one was not, so it is an X-Y series. Send them ${rest}.`;
  return `The x values of ${of} look like ${unit.name} since 1970, so it is an X-Y series. To get a time axis, send milliseconds (${unit.conversion}) ${rest}.`;
}
