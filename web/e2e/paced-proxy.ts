// A slow network between a hub and a viewer: a proxy that passes on what the hub sends at a limited rate.
import { createServer, Socket, type AddressInfo, type SocketConstructorOpts } from 'node:net';

/** How often bytes are passed on; ms. */
const STEP = 20;
/** The longest delay of the timer that is compensated; ms. */
const LATE = 200;

export interface PacedProxy {
  readonly url: string;
  readonly port: number;
  setRate(bytesPerSecond: number): void;
  stop(): Promise<void>;
}

export async function startPacedProxy(hubPort: number, initialRate: number): Promise<PacedProxy> {
  const sockets = new Set<Socket>();
  let bytesPerSecond = initialRate;
  // All connections share the rate.
  const waiting: { readonly bytes: number; readonly send: () => void }[] = [];
  let allowance = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    // Unused allowance does not accumulate.
    allowance = Math.min(allowance, 0) + (bytesPerSecond * Math.min(now - last, LATE)) / 1000;
    last = now;
    while (allowance > 0) {
      const next = waiting.shift();
      if (!next) return;
      allowance -= next.bytes;
      next.send();
    }
  }, STEP);

  async function forward(from: Socket, to: Socket): Promise<void> {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length;) {
        const bytes = chunk.subarray(at, at + Math.ceil((bytesPerSecond * STEP) / 1000));
        at += bytes.length;
        await new Promise<void>((send) => waiting.push({ bytes: bytes.length, send }));
        to.write(bytes);
      }
    }
    to.end();
  }

  const server = createServer((viewer) => {
    // Little is read ahead, as by a router with a short queue.
    const shortQueue = { readableHighWaterMark: 1 } as SocketConstructorOpts;
    const hub = new Socket(shortQueue).connect(hubPort, '127.0.0.1');
    for (const socket of [viewer, hub]) {
      sockets.add(socket);
      socket.setNoDelay();
      socket.on('error', () => undefined);
      socket.on('close', () => {
        viewer.destroy();
        hub.destroy();
        sockets.delete(socket);
      });
    }
    viewer.pipe(hub);
    forward(hub, viewer).catch(() => viewer.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    setRate: (rate) => void (bytesPerSecond = rate),
    stop: () =>
      new Promise((resolve) => {
        clearInterval(timer);
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
