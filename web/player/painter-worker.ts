// The entry point of the painter's worker. A busy page does not delay pictures, and pictures do not delay the page.
import type { FromPainter, ToPainter } from './messages.ts';
import { Painter } from './painter.ts';
import { browserHost } from './browser-host.ts';

const scope = self as unknown as {
  postMessage(message: FromPainter, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToPainter>) => void) | null;
};

const painter = new Painter(browserHost((message, transfer) => scope.postMessage(message, transfer)));
scope.onmessage = ({ data }) => painter.receive(data);
// Some browsers transfer canvases but cannot draw on them here.
scope.postMessage({ kind: new OffscreenCanvas(1, 1).getContext('2d') ? 'ready' : 'unsupported' });
