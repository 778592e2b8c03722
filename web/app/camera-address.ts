// Splits user and password from a camera's address, which users often paste with both in it.

export interface Split {
  readonly address: string;
  readonly user: string;
  readonly password: string;
}

/** Splits an address into address, user and password. Returns undefined if it has neither user nor password. */
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
    // A % without two hex digits is taken literally.
    return text;
  }
}
