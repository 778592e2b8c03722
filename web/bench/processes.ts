// Starts processes for the benchmark and measures the browser's CPU time. Linux only, because it reads /proc.
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { cpus } from 'node:os';

/** The unit of CPU times in /proc, independent of the kernel's timer frequency. */
const TICKS_PER_SECOND = 100;

/** Returns the CPU seconds used so far by descendants of this process whose name starts with `name`. */
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
  for (const [pid, cpuTicks] of used) {
    let ancestor: number | undefined = pid;
    while (ancestor !== undefined && ancestor !== process.pid) ancestor = parents.get(ancestor);
    if (ancestor !== undefined) ticks += cpuTicks;
  }
  return ticks / TICKS_PER_SECOND;
}

function statOf(pid: number): { name: string; fields: string[] } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name is in parentheses and may contain parentheses itself.
    const end = text.lastIndexOf(')');
    return { name: text.slice(text.indexOf('(') + 1, end), fields: text.slice(end + 2).split(' ') };
  } catch {
    return undefined;
  }
}

/** Loads every core. Returns a function that ends the load. */
export function overload(): () => void {
  const busyProcesses = cpus().map(() => spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
  return () => {
    for (const busyProcess of busyProcesses) busyProcess.kill('SIGKILL');
  };
}

/** Starts simulated devices. Their pictures are drawn in advance, so they use little CPU. */
export function startDevices(
  program: string,
  url: string,
  token: string,
  args: readonly string[],
): ChildProcess {
  return spawn(program, ['simulate', '--url', url, ...args], {
    env: { ...process.env, OCELLI_TOKEN: token },
    stdio: 'ignore',
  });
}
