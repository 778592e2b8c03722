import { describe, expect, it } from 'vitest';
import {
  describeDifference,
  defaultPanels,
  parsePanels,
  movePanel,
  formatPanels,
  type Panel,
} from './live-layout.ts';

const panels: Panel[] = [
  { kind: 'camera', id: 'yard/gate' },
  { kind: 'plot', names: ['Küche oben', 'a & b'] },
  { kind: 'plot', names: [] },
];

describe('the live layout', () => {
  it('keeps the order of panels in the address', () => {
    expect(parsePanels(`#${formatPanels(panels)}`)).toEqual(panels);
    expect(parsePanels('#nonsense&camera=')).toEqual([]);
    expect(parsePanels(`#${'camera=a&'.repeat(100)}`).length).toBe(32);
  });

  it('moves a panel by one place', () => {
    expect(movePanel(panels, 0, 1).map(({ kind }) => kind)).toEqual(['plot', 'camera', 'plot']);
    expect(movePanel(panels, 0, -1)).toEqual(panels);
    expect(movePanel(panels, 2, 1)).toEqual(panels);
  });

  it('starts with two cameras and all series', () => {
    expect(defaultPanels(['a', 'b', 'c'])).toEqual([
      { kind: 'camera', id: 'a' },
      { kind: 'camera', id: 'b' },
      { kind: 'plot', names: [] },
    ]);
  });

  it('describes the time between the cursor and a picture', () => {
    expect(describeDifference(1000, 1000)).toBe('at this picture');
    expect(describeDifference(1000, 1250)).toBe('250 ms before this picture');
    expect(describeDifference(4500, 1000)).toBe('3.5 s after this picture');
    expect(describeDifference(0, 600_000)).toBe('10 min before this picture');
  });
});
