// An HTTP proxy that connects every name to one hub, for browsers that cannot be told to resolve a name.
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

export interface NameProxy {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startNameProxy(hubPort: number): Promise<NameProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((browser) => {
    const hub = connect(hubPort, '127.0.0.1');
    for (const socket of [browser, hub]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        browser.destroy();
        hub.destroy();
        sockets.delete(socket);
      });
    }
    browser.once('data', (first: Buffer) => {
      // A WebSocket is opened in a tunnel; other requests can be passed on as they are.
      if (first.toString('latin1').startsWith('CONNECT ')) browser.write('HTTP/1.1 200 OK\r\n\r\n');
      else hub.write(first);
      browser.pipe(hub);
      hub.pipe(browser);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
