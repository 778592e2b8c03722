// Fake sockets and a fake clock for tests of the client.
import type { Command, HubEvent } from './events.ts';
import type { Socket, Platform } from './connection.ts';

interface FrameFields {
  readonly version?: number;
  readonly kind?: number;
  readonly codec?: number;
  readonly flags?: number;
  readonly group?: number;
  readonly sequence?: number;
  readonly captureTime?: number;
  readonly receiptTime?: number;
  readonly camera?: string;
  readonly payload?: readonly number[];
}

export function frameMessage(fields: FrameFields): ArrayBuffer {
  const id = new TextEncoder().encode(fields.camera ?? 'door');
  const payload = fields.payload ?? [0xff, 0xd8, 0xff, 0xd9];
  const bytes = new Uint8Array(29 + id.length + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, fields.version ?? 2);
  view.setUint8(1, fields.kind ?? 1);
  view.setUint8(2, fields.codec ?? 1);
  view.setUint8(3, fields.flags ?? 1);
  view.setUint32(4, fields.group ?? 1);
  view.setUint32(8, fields.sequence ?? 1);
  view.setBigUint64(12, BigInt(fields.captureTime ?? 1));
  view.setBigUint64(20, BigInt(fields.receiptTime ?? 1));
  view.setUint8(28, id.length);
  bytes.set(id, 29);
  bytes.set(payload, 29 + id.length);
  return bytes.buffer;
}

export class FakeSocket implements Socket {
  binaryType = '';
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  closed = false;
  readonly sent: Command[] = [];

  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Command);
  }

  close(): void {
    this.closed = true;
  }

  /** Delivers an event from the hub. */
  event(event: { readonly type: HubEvent['type'] } & Readonly<Record<string, unknown>>): void {
    this.onmessage?.({ data: JSON.stringify(event) });
  }

  text(text: string): void {
    this.onmessage?.({ data: text });
  }

  frame(fields: FrameFields = {}): void {
    this.onmessage?.({ data: frameMessage(fields) });
  }

  /** Closes the socket from the hub's side. */
  end(): void {
    this.onclose?.();
  }

  commands<Kind extends Command['cmd']>(kind: Kind): Extract<Command, { cmd: Kind }>[] {
    return this.sent.filter((command): command is Extract<Command, { cmd: Kind }> => command.cmd === kind);
  }
}

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

export class FakePlatform implements Platform {
  time = 1_000_000;
  randomness = 1;
  refuseSockets = false;
  readonly sockets: FakeSocket[] = [];
  #timers = new Set<Timer>();

  openSocket(url: string, protocol = ''): Socket {
    if (this.refuseSockets) throw new Error('forbidden');
    const socket = new FakeSocket(url, protocol);
    this.sockets.push(socket);
    return socket;
  }

  now(): number {
    return this.time;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.time + milliseconds, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  random(): number {
    return this.randomness;
  }

  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    if (!last) throw new Error('no socket was opened');
    return last;
  }

  /** Advances the clock and runs the timers that are due, in order. */
  advance(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due);
      this.time = Math.max(this.time, due.at);
      due.callback();
    }
    this.time = end;
  }
}
