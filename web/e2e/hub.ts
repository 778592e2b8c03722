// Starts a real hub for a test, on a free port.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The path of the hub's binary. */
export const HUB =
  process.env['OCELLI_BIN'] ?? fileURLToPath(new URL('../../target/release/ocelli', import.meta.url));
const TIMEOUT = 20_000;

export interface CameraRow {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly viewers: number;
}

export interface Hub {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** The lines printed so far to stdout and stderr. */
  readonly output: readonly string[];
  cameras(): Promise<CameraRow[]>;
  /** Sends a signal and waits for the exit. Returns the exit code, or `null` if a signal killed it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  stop(): Promise<void>;
}

/** Where a hub runs: its address, and the command that starts it there. */
export interface Place {
  readonly address: string;
  readonly command: readonly string[];
}

const HERE: Place = { address: '127.0.0.1', command: [] };

/** Starts a hub. `config` is the text of a configuration file. */
export async function startHub(
  sources: readonly string[],
  port = 0,
  config = '',
  place = HERE,
): Promise<Hub> {
  // Each hub has a temporary data directory, so that it does not use the user's own.
  const data = await mkdtemp(join(tmpdir(), 'ocelli-e2e-'));
  const file = join(data, 'test.toml');
  await writeFile(file, config);
  const serve = ['serve', '--config', file, '--listen', `${place.address}:${port}`, '--data', data];
  const [program, ...prefix] = [...place.command, HUB];
  const child = spawn(program, [...prefix, ...serve, ...sources], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.once('exit', () => void rm(data, { recursive: true, force: true }));
  const output: string[] = [];
  const url = await waitForUrl(child, output);
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid ?? 0,
    output,
    async cameras() {
      const response = await fetch(`${url}/api/v1/cameras`);
      return ((await response.json()) as { data: CameraRow[] }).data;
    },
    end: (signal) =>
      new Promise((resolve) => {
        child.once('exit', resolve);
        child.kill(signal);
      }),
    stop: () => stop(child),
  };
}

/** Returns `count` pattern cameras: cam1, cam2, … */
export function patterns(count: number, options = 'size=320x240&fps=8'): string[] {
  return Array.from({ length: count }, (_, index) => `cam${index + 1}=pattern:?${options}`);
}

/** Returns the running child processes of a process. */
export function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false; // The process has ended.
      }
    })
    .map(Number);
}

export const isRunning = (pid: number): boolean => existsSync(`/proc/${pid}`);

function waitForUrl(child: ChildProcess, output: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail('did not report that it is listening'), TIMEOUT);
    const fail = (reason: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`${HUB} ${reason}\n${output.join('\n')}`));
    };
    if (child.stderr) createInterface(child.stderr).on('line', (line) => output.push(line));
    if (child.stdout) {
      createInterface(child.stdout).on('line', (line) => {
        output.push(line);
        const match = /listening on (https?:\/\/\S+)/.exec(line);
        if (!match?.[1]) return;
        clearTimeout(timer);
        resolve(match[1].replace(/\/$/, ''));
      });
    }
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code) => fail(`ended with ${code ?? 'a signal'}`));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}
