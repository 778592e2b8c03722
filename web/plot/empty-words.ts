// What a plot says when the hub is there and nothing came: which series it waits for, and a line that sends some.

export interface EmptyWords {
  readonly text: string;
  /** A line for a shell. */
  readonly example: string;
}

/** For the series of these names, or all; `host` is the hub's, as an address has it. */
export function emptyWords(names: readonly string[], host: string): EmptyWords {
  const of = names.length > 0 ? ` of ${names.join(', ')}` : '';
  const place = host.replace(/^\[(.*)\]$/, '$1');
  return {
    text: `No samples${of} yet. Send some:`,
    example: `printf '${asFormat(names[0] ?? 'temp')}\\n%s000 21.5\\n' $(date +%s) | nc -N ${place} 9876`,
  };
}

/** A name inside the quoted format of a `printf`, where each of its characters means itself. */
function asFormat(name: string): string {
  return name.replace(/[\\%]/g, '$&$&').replaceAll("'", "'\\''");
}
