// A camera's address as people have it: often with user and password in it, which belong into fields of their own.

export interface Split {
  readonly address: string;
  readonly user: string;
  readonly password: string;
}

/** Takes user and password out of an address; undefined if it has none. */
export function splitAddress(text: string): Split | undefined {
  const [, scheme, signedIn, rest] = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)@([^@]*)$/i.exec(text.trim()) ?? [];
  if (scheme === undefined || signedIn === undefined || rest === undefined) return undefined;
  const colon = signedIn.indexOf(':');
  const user = colon < 0 ? signedIn : signedIn.slice(0, colon);
  const password = colon < 0 ? '' : signedIn.slice(colon + 1);
  return { address: scheme + rest, user: decoded(user), password: decoded(password) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A bare % is meant as it stands.
    return text;
  }
}
