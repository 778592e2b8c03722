// Parses and builds page addresses: the return address after signing in, one-time codes, and the settings panel.

/** Returns the page to open after signing in. It is always on this hub, whatever `back` contains. */
export function returnAddress(search: string, origin: string): string {
  const home = `${origin}/`;
  const requested = new URLSearchParams(search).get('back');
  if (requested === null) return home;
  try {
    const url = new URL(requested, home);
    // Return the whole address, not its path: the path may be "//evil.example", which browsers parse as a host.
    return url.origin === origin && url.pathname !== '/sign-in' ? url.href : home;
  } catch {
    return home;
  }
}

/** Returns the address of the sign-in page that returns to `page` afterwards. */
export function signInAddress(page: { pathname: string; search: string; hash: string }): string {
  const back = `${page.pathname}${page.search}${page.hash}`;
  return back === '/' ? '/sign-in' : `/sign-in?back=${encodeURIComponent(back)}`;
}

/** Returns the value of one parameter in a hash of the form `#name=…&other=…`. */
export function hashParameter(hash: string, name: string): string | undefined {
  const found = hash
    .slice(1)
    .split('&')
    .find((pair) => pair.startsWith(`${name}=`));
  if (found === undefined || found.length === name.length + 1) return undefined;
  try {
    return decodeURIComponent(found.slice(name.length + 1));
  } catch {
    return undefined;
  }
}

/** Adds the user's name to a one-time link, so that the form can fill it in. */
export function withName(link: string, name: string): string {
  return `${link}&name=${encodeURIComponent(name)}`;
}

export type Step =
  { readonly kind: 'list' } | { readonly kind: 'add' } | { readonly kind: 'edit'; readonly id: string };

export interface PanelHash {
  readonly panel: string;
  readonly step: Step;
}

/** Parses `#cameras`, `#cameras/add` and `#cameras/edit/<id>`. Returns undefined for anything else. */
export function parseHash(hash: string): PanelHash | undefined {
  const [, panel, step, id] = /^#([a-z]+)(?:\/([a-z]+))?(?:\/([^/]+))?$/.exec(hash) ?? [];
  if (panel === undefined) return undefined;
  if (step === undefined) return { panel, step: { kind: 'list' } };
  if (step === 'add' && id === undefined) return { panel, step: { kind: 'add' } };
  if (step !== 'edit' || id === undefined) return undefined;
  try {
    return { panel, step: { kind: 'edit', id: decodeURIComponent(id) } };
  } catch {
    return undefined;
  }
}

export function formatHash({ panel, step }: PanelHash): string {
  switch (step.kind) {
    case 'list':
      return `#${panel}`;
    case 'add':
      return `#${panel}/add`;
    case 'edit':
      return `#${panel}/edit/${encodeURIComponent(step.id)}`;
  }
}
