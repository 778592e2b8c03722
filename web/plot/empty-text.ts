// The text of a connected plot without samples: the series it waits for, and a command that sends a sample.

export interface EmptyText {
  readonly text: string;
  /** A shell command. */
  readonly example: string;
}

/** Returns the text for the named series, or for all; `host` is the hub's host name from its URL. */
export function emptyText(names: readonly string[], host: string): EmptyText {
  const ofNames = names.length > 0 ? ` of ${names.join(', ')}` : '';
  const target = host.replace(/^\[(.*)\]$/, '$1');
  return {
    text: `No samples${ofNames} yet. To send one, run:`,
    example: `printf '${escapeForPrintf(names[0] ?? 'temp')}\\n%s000 21.5\\n' $(date +%s) | nc -N ${target} 9876`,
  };
}

/** Escapes a name for the single-quoted format of `printf`. */
function escapeForPrintf(name: string): string {
  return name.replace(/[\\%]/g, '$&$&').replaceAll("'", "'\\''");
}
