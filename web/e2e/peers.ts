// Cameras that we did not write, for a test: GStreamer's RTSP server, as the Rust tests start it.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('../../crates/ocelli-testkit/rtsp_server.py', import.meta.url));
const PATIENCE = 20_000;

export interface RtspServer {
  /** Where a mount is, without user and password. */
  url(mount: string): string;
  stop(): void;
}

export async function startRtsp(options: readonly string[] = []): Promise<RtspServer> {
  // Another Python may lack GStreamer.
  const child = spawn('/usr/bin/python3', [SERVER, ...options], { stdio: ['pipe', 'pipe', 'ignore'] });
  const port = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the RTSP server did not start')), PATIENCE);
    createInterface(child.stdout).once('line', (line) => {
      clearTimeout(timer);
      resolve(line.replace('port ', ''));
    });
    child.once('error', reject);
  });
  return {
    url: (mount) => `rtsp://127.0.0.1:${port}${mount}`,
    stop: () => void child.kill('SIGKILL'),
  };
}
