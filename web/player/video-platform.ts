// The video decoders of a browser (WebCodecs), as the painter uses them. Passed in, so that tests need no browser.

export type Decoder = Pick<VideoDecoder, 'configure' | 'decode' | 'close' | 'state' | 'decodeQueueSize'> & {
  /** Older browsers do not have this event. */
  ondequeue?: ((event: Event) => void) | null;
};

/** What is asked before a camera is subscribed with its own codec. */
export interface VideoSupport {
  /** The maximum number of decoders. Cameras beyond it get JPEG. */
  readonly maxDecoders: number;
  isSupported(config: VideoDecoderConfig): Promise<boolean>;
}

export interface VideoPlatform extends VideoSupport {
  createDecoder(init: VideoDecoderInit): Decoder;
  createChunk(init: EncodedVideoChunkInit): EncodedVideoChunk;
}

/** Why there are no video decoders: the page is not a secure context, or the browser has none. */
export type NoVideo = 'insecure' | 'no-decoders';

/**
 * No browser reports how many decoders the machine has, so this only limits their memory. The watchdog of each decoder
 * finds those that do not work.
 */
const MAX_DECODERS = 64;

export function browserVideo(): VideoPlatform | NoVideo {
  if (!isSecureContext) return 'insecure';
  if (typeof VideoDecoder !== 'function' || typeof EncodedVideoChunk !== 'function') return 'no-decoders';
  return {
    maxDecoders: MAX_DECODERS,
    isSupported: async (config) => (await VideoDecoder.isConfigSupported(config)).supported ?? false,
    createDecoder: (init) => new VideoDecoder(init),
    createChunk: (init) => new EncodedVideoChunk(init),
  };
}
