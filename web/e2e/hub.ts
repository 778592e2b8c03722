// A real hub of one's own for a test: started on a free port, ended with the test.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The program. */
export const HUB =
  process.env['OCELLI_BIN'] ?? fileURLToPath(new URL('../../target/release/ocelli', import.meta.url));
const PATIENCE = 20_000;

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
  /** The lines that it has printed so far, on both streams. */
  readonly said: readonly string[];
  cameras(): Promise<CameraRow[]>;
  /** Sends a signal and waits; the exit code, `null` if a signal killed it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  stop(): Promise<void>;
}

/** `config` is the text of a configuration file. */
export async function startHub(sources: readonly string[], port = 0, config = ''): Promise<Hub> {
  // What a hub keeps is for one test: none of it belongs into the user's own directory.
  const data = await mkdtemp(join(tmpdir(), 'ocelli-e2e-'));
  const file = join(data, 'test.toml');
  await writeFile(file, config);
  const serve = ['serve', '--config', file, '--listen', `127.0.0.1:${port}`, '--data', data, ...sources];
  const child = spawn(HUB, serve, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.once('exit', () => void rm(data, { recursive: true, force: true }));
  const said: string[] = [];
  const url = await listening(child, said);
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid ?? 0,
    said,
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

/** `count` pattern cameras, cam1 and on. */
export function patterns(count: number, options = 'size=320x240&fps=8'): string[] {
  return Array.from({ length: count }, (_, index) => `cam${index + 1}=pattern:?${options}`);
}

/** The processes that a process has started and that still are. */
export function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false; // It has ended meanwhile.
      }
    })
    .map(Number);
}

export const isThere = (pid: number): boolean => existsSync(`/proc/${pid}`);

function listening(child: ChildProcess, said: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail('did not say that it listens'), PATIENCE);
    const fail = (what: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`${HUB} ${what}\n${said.join('\n')}`));
    };
    if (child.stderr) createInterface(child.stderr).on('line', (line) => said.push(line));
    if (child.stdout) {
      createInterface(child.stdout).on('line', (line) => {
        said.push(line);
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
