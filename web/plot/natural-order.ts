// Sorts names as people do: numbers in them by value, "cam 2" before "cam 10".
const COLLATOR = collator();

export const byName = (a: string, b: string): number => COLLATOR.compare(a, b);

function collator(): Intl.Collator {
  try {
    return new Intl.Collator(undefined, { numeric: true });
  } catch {
    // The browser's language may be one that is no valid language tag, such as "C".
    return new Intl.Collator('en', { numeric: true });
  }
}
