// Processes beside the browser, and what the browser's own cost. Linux alone has /proc.
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { cpus } from 'node:os';

/** Linux counts a process's time in these, whatever its clock. */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that this process's descendants of this name have used so far. */
export function cpuSeconds(name: string): number {
  const parents = new Map<number, number>();
  const used = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = statOf(pid);
    if (!stat) continue;
    parents.set(pid, Number(stat.fields[1]));
    if (stat.name.startsWith(name)) used.set(pid, Number(stat.fields[11]) + Number(stat.fields[12]));
  }
  let ticks = 0;
  for (const [pid, own] of used) {
    let ancestor: number | undefined = pid;
    while (ancestor !== undefined && ancestor !== process.pid) ancestor = parents.get(ancestor);
    if (ancestor !== undefined) ticks += own;
  }
  return ticks / TICKS_PER_SECOND;
}

function statOf(pid: number): { name: string; fields: string[] } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in parentheses and may hold some itself.
    const end = text.lastIndexOf(')');
    return { name: text.slice(text.indexOf('(') + 1, end), fields: text.slice(end + 2).split(' ') };
  } catch {
    return undefined;
  }
}

/** Takes every core for itself until it is called off. */
export function overload(): () => void {
  const burners = cpus().map(() => spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
  return () => {
    for (const burner of burners) burner.kill('SIGKILL');
  };
}

/** A fleet of devices with pictures that were drawn beforehand, so that they cost little. */
export function startFleet(
  program: string,
  url: string,
  token: string,
  words: readonly string[],
): ChildProcess {
  return spawn(program, ['simulate', '--url', url, ...words], {
    env: { ...process.env, OCELLI_TOKEN: token },
    stdio: 'ignore',
  });
}
