// The hub's messages about series. What is not as it should be is passed over, never thrown.

export interface SeriesPart {
  readonly id: number;
  readonly name: string;
  readonly unit: string | undefined;
  /** Its x are no times. */
  readonly xy: boolean;
  /** How far its newest time is from when it came, in ms, where that is much: its source's clock is off. */
  readonly clockOffset: number | undefined;
  /** It was deleted. */
  readonly gone: boolean;
  /** Samples that fell off the history before they were asked for. */
  readonly gap: number;
  readonly points: readonly (readonly [number, number])[];
}

export function parseMessage(text: string): SeriesPart[] {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return [];
  }
  const list = (message as { series?: unknown } | null)?.series;
  return Array.isArray(list) ? list.flatMap((part: unknown) => readPart(part)) : [];
}

function readPart(part: unknown): SeriesPart[] {
  if (typeof part !== 'object' || part === null) return [];
  const { id, name, unit, xy, clockOffsetMs, gone, gap, points } = part as Record<string, unknown>;
  if (typeof id !== 'number' || typeof name !== 'string' || !Array.isArray(points)) return [];
  return [
    {
      id,
      name,
      unit: typeof unit === 'string' ? unit : undefined,
      xy: xy === true,
      clockOffset: typeof clockOffsetMs === 'number' ? clockOffsetMs : undefined,
      gone: gone === true,
      gap: typeof gap === 'number' ? gap : 0,
      points: points as [number, number][],
    },
  ];
}
