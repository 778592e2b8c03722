// Starts GStreamer's RTSP server as an independent camera, like the Rust tests.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('../../crates/ocelli-testkit/rtsp_server.py', import.meta.url));
const TIMEOUT = 20_000;

export interface RtspServer {
  readonly port: string;
  /** Returns the address of a mount, without user and password. */
  url(mount: string): string;
  stop(): void;
}

/** `command` starts it elsewhere, such as in another network namespace. */
export async function startRtsp(
  options: readonly string[] = [],
  command: readonly string[] = [],
): Promise<RtspServer> {
  // The system's Python, because others may lack GStreamer.
  const python = '/usr/bin/python3';
  const [program, ...prefix] = [...command, python];
  const stdio = ['pipe', 'pipe', 'ignore'] as ['pipe', 'pipe', 'ignore'];
  const child = spawn(program, [...prefix, SERVER, ...options], { stdio });
  const port = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the RTSP server did not start')), TIMEOUT);
    createInterface(child.stdout).once('line', (line) => {
      clearTimeout(timer);
      resolve(line.replace('port ', ''));
    });
    child.once('error', reject);
  });
  return {
    port,
    url: (mount) => `rtsp://127.0.0.1:${port}${mount}`,
    stop: () => void child.kill('SIGKILL'),
  };
}
