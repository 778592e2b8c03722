// Splits user and password from a camera's address. Users often paste an address that contains both.

export interface AddressParts {
  readonly address: string;
  readonly user: string;
  readonly password: string;
}

/** Splits an address into address, user and password. Returns undefined if it has neither user nor password. */
export function splitAddress(text: string): AddressParts | undefined {
  const [, scheme, credentials, rest] =
    /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)@([^@]*)$/i.exec(text.trim()) ?? [];
  if (scheme === undefined || credentials === undefined || rest === undefined) return undefined;
  const colon = credentials.indexOf(':');
  const user = colon < 0 ? credentials : credentials.slice(0, colon);
  const password = colon < 0 ? '' : credentials.slice(colon + 1);
  return { address: scheme + rest, user: decode(user), password: decode(password) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A % without two hex digits is taken literally.
    return text;
  }
}
