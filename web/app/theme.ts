// The dark or light theme: the system's preference, unless the user chose one in this browser.

export type Theme = 'dark' | 'light';

const KEY = 'ocelli.theme';

export function storedTheme(): Theme | undefined {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === 'dark' || stored === 'light' ? stored : undefined;
  } catch {
    // Storage may be blocked. The choice then lasts until the page is closed.
    return undefined;
  }
}

export function systemTheme(): Theme {
  return matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark';
}

export function applyTheme(theme: Theme | undefined): void {
  if (theme) document.documentElement.dataset['theme'] = theme;
  else delete document.documentElement.dataset['theme'];
}

/** Applies and stores a theme. A theme equal to the system's is not stored, so that the page follows the system. */
export function chooseTheme(theme: Theme): void {
  const chosen = theme === systemTheme() ? undefined : theme;
  try {
    if (chosen) localStorage.setItem(KEY, chosen);
    else localStorage.removeItem(KEY);
  } catch {
    // See storedTheme.
  }
  applyTheme(chosen);
}
