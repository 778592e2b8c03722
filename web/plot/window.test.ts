import { describe, expect, it } from 'vitest';
import { toCsv } from './export.ts';
import { formatValue } from './format-value.ts';
import { Samples } from './samples.ts';
import { MAX_TIME, ViewWindow, yRange } from './window.ts';

describe('the shown range', () => {
  it('follows the newest samples until another range is selected', () => {
    const shown = new ViewWindow(10);
    expect(shown.range(0, 100)).toEqual({ min: 90, max: 100 });
    expect(shown.range(0, 100, true)).toEqual({ min: 0, max: 100 });
    shown.zoom({ min: 90, max: 100 }, 0.5, 100);
    expect(shown.following).toBe(false);
    expect(shown.range(0, 500)).toEqual({ min: 95, max: 100 });
    shown.pan({ min: 95, max: 100 }, -1);
    expect(shown.range(0, 500)).toEqual({ min: 90, max: 95 });
    shown.follow();
    expect(shown.range(0, 500)).toEqual({ min: 490, max: 500 });
    expect(new ViewWindow(undefined).range(3, 3)).toEqual({ min: 2, max: 4 });
  });

  it('stays within the times that a date can have, and can be zoomed at any magnitude', () => {
    const time = new ViewWindow(undefined);
    let shown = { min: 1.7e12, max: 1.7e12 + 1000 };
    for (let step = 0; step < 60; step++) {
      time.zoom(shown, 2);
      shown = time.range(0, 1);
    }
    expect(shown).toEqual({ min: -MAX_TIME, max: MAX_TIME });

    const { MAX_VALUE } = Number;
    const xy = new ViewWindow(undefined);
    xy.limit = MAX_VALUE;
    xy.zoom({ min: -MAX_VALUE, max: MAX_VALUE }, 2);
    expect(xy.range(0, 1)).toEqual({ min: -MAX_VALUE, max: MAX_VALUE });
    xy.zoom({ min: -MAX_VALUE, max: MAX_VALUE }, 0.5, 0);
    expect(xy.range(0, 1)).toEqual({ min: -MAX_VALUE / 2, max: MAX_VALUE / 2 });
    xy.zoom({ min: 1e-300, max: 3e-300 }, 0.5, 2e-300);
    expect(xy.range(0, 1).min / 1.5e-300).toBeCloseTo(1);
    expect(xy.range(0, 1).max / 2.5e-300).toBeCloseTo(1);
  });

  it('has a margin above and below, and ends at powers of ten on a log scale', () => {
    expect(yRange(0, 100, false)).toEqual([-6, 106]);
    expect(yRange(5, 5, false)).toEqual([4.75, 5.25]);
    expect(yRange(Infinity, -Infinity, false)).toEqual([0, 1]);
    expect(yRange(3, 2000, true)).toEqual([1, 10_000]);
    expect(yRange(Infinity, -Infinity, true)).toEqual([1, 10]);
  });

  it('formats values with six significant digits', () => {
    expect(formatValue(21.123456789, '°C')).toBe('21.1235 °C');
    expect(formatValue(0, undefined)).toBe('0');
    expect(formatValue(123_456_789, undefined)).toBe('1.235e+8');
    expect(formatValue(-0.1 - 0.2, undefined)).toBe('-0.3');
  });
});

describe('the CSV export', () => {
  it('includes only samples in the range, quoted and without formulas', () => {
    const samples = new Samples(true);
    samples.add([
      [1000, 1],
      [2000, 2.5],
      [3000, 3],
    ]);
    const series = { samples, timed: true, name: '=1+"x"', unit: undefined };
    expect(toCsv([series], { min: 1500, max: 2500 })).toBe(
      'series,unit,x,time,y\r\n"\'=1+""x""",,2000,1970-01-01T00:00:02.000Z,2.5\r\n',
    );
  });

  it('has no time for an x beyond all dates', () => {
    const samples = new Samples(true);
    samples.add([[1e300, 1]]);
    const series = { samples, timed: true, name: 'far', unit: undefined };
    expect(toCsv([series], { min: 0, max: 2e300 })).toContain('far,,1e+300,,1');
  });

  const cell = (name: string, unit?: string, y = -2.5): string => {
    const samples = new Samples(false);
    samples.add([[-1, y]]);
    const lines = toCsv([{ name, unit, samples, timed: false }], { min: -2, max: 0 }).split('\r\n');
    return lines.slice(1).join('\r\n');
  };

  it('quotes every separator', () => {
    for (const name of ['a;=CALL()', 'a,=1', 'a\t=1', 'a|=1', 'a\r\n=1', "it's", ' a', 'a ']) {
      expect(cell(name)).toBe(`"${name}",,-1,,-2.5\r\n`);
      expect(cell('t', name)).toBe(`t,"${name}",-1,,-2.5\r\n`);
    }
    expect(cell('say "x"')).toBe('"say ""x""",,-1,,-2.5\r\n');
    expect(cell('temp. 1 (°C)', '%')).toBe('temp. 1 (°C),%,-1,,-2.5\r\n');
  });

  it('escapes formulas and keeps numbers', () => {
    for (const prefix of ['=', '+', '-', '@', ' =', '\t', '\r', '＝', '＋', '－', '＠']) {
      expect(cell(`${prefix}1`)).toBe(`"'${prefix}1",,-1,,-2.5\r\n`);
    }
    expect(cell('t', 'V', -1e-7)).toBe('t,V,-1,,-1e-7\r\n');
  });
});
