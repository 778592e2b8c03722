// The part of the npm player that is used here; it brings no types of its own.
declare module '@cycjimmy/jsmpeg-player' {
  interface VideoOutput {
    resize(width: number, height: number): void;
    render(y: Uint8ClampedArray, cr: Uint8ClampedArray, cb: Uint8ClampedArray): void;
  }

  class MPEG1Video {
    constructor(options: { streaming: boolean; decodeFirstFrame: boolean; videoBufferSize: number });
    readonly bits: { index: number; byteLength: number };
    connect(output: VideoOutput): void;
    write(time: number, bytes: Uint8Array): void;
    decode(): boolean;
  }

  class Canvas2D implements VideoOutput {
    constructor(options: { canvas: HTMLCanvasElement });
    resize(width: number, height: number): void;
    render(y: Uint8ClampedArray, cr: Uint8ClampedArray, cb: Uint8ClampedArray): void;
  }

  const JSMpeg: {
    readonly Decoder: { readonly MPEG1Video: typeof MPEG1Video };
    readonly Renderer: { readonly Canvas2D: typeof Canvas2D };
  };
  export default JSMpeg;
}
