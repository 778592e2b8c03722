// Types for the part of the npm player that is used here. The package has none.
declare module '@cycjimmy/jsmpeg-player' {
  export interface VideoOutput {
    resize(width: number, height: number): void;
    render(y: Uint8ClampedArray, cr: Uint8ClampedArray, cb: Uint8ClampedArray): void;
  }

  export interface MPEG1Video {
    readonly bits: { index: number; byteLength: number };
    connect(output: VideoOutput): void;
    write(time: number, bytes: Uint8Array): void;
    decode(): boolean;
  }

  const JSMpeg: {
    readonly Decoder: {
      readonly MPEG1Video: new (options: {
        streaming: boolean;
        decodeFirstFrame: boolean;
        videoBufferSize: number;
      }) => MPEG1Video;
    };
  };
  export default JSMpeg;
}
