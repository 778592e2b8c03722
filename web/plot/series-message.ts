// Parses the hub's messages about series. Invalid parts are skipped; it never throws.

export interface SeriesPart {
  readonly id: number;
  readonly name: string;
  readonly unit: string | undefined;
  /** Whether x is not a time. */
  readonly xy: boolean;
  /** The newest sample's time minus its arrival time in ms, if the difference is large: the source's clock is off. */
  readonly clockOffset: number | undefined;
  /** Whether the series was deleted. */
  readonly gone: boolean;
  /** The number of samples that the hub discarded before they were requested. */
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
