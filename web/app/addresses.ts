// What these pages read from their address and write into it: where to go back to, the one-time code, the panel.

/** The page to go to after signing in: a place of this hub, whatever the address asks for. */
export function backFrom(search: string, origin: string): string {
  const home = `${origin}/`;
  const wanted = new URLSearchParams(search).get('back');
  if (wanted === null) return home;
  try {
    const url = new URL(wanted, home);
    // The whole address, not its path: "//elsewhere" is a path too.
    return url.origin === origin && url.pathname !== '/sign-in' ? url.href : home;
  } catch {
    return home;
  }
}

/** The address of the sign-in page that leads back to a place of this hub. */
export function signInFor(place: { pathname: string; search: string; hash: string }): string {
  const back = `${place.pathname}${place.search}${place.hash}`;
  return back === '/' ? '/sign-in' : `/sign-in?back=${encodeURIComponent(back)}`;
}

/** What `#name=…` holds, with more such parts behind it or not. */
export function secretIn(hash: string, name: string): string | undefined {
  const found = hash
    .slice(1)
    .split('&')
    .find((one) => one.startsWith(`${name}=`));
  if (found === undefined || found.length === name.length + 1) return undefined;
  try {
    return decodeURIComponent(found.slice(name.length + 1));
  } catch {
    return undefined;
  }
}

/** A one-time link that says whose it is, so that whoever opens it need not know their own name. */
export function withName(link: string, name: string): string {
  return `${link}&name=${encodeURIComponent(name)}`;
}

export type Step =
  { readonly kind: 'list' } | { readonly kind: 'add' } | { readonly kind: 'edit'; readonly id: string };

export interface Place {
  readonly panel: string;
  readonly step: Step;
}

/** `#cameras`, `#cameras/add`, `#cameras/edit/<id>`; what is none of them is undefined. */
export function placeIn(hash: string): Place | undefined {
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

export function hashOf({ panel, step }: Place): string {
  switch (step.kind) {
    case 'list':
      return `#${panel}`;
    case 'add':
      return `#${panel}/add`;
    case 'edit':
      return `#${panel}/edit/${encodeURIComponent(step.id)}`;
  }
}
