// The media elements of a browser (Media Source Extensions), as the player uses them. Passed in, so that tests need no
// browser. They exist on pages without video decoders too, such as those that are not served over https.

export interface MediaBrowser {
  /** Whether a container with this codec can be played: `avc1.64001f`. */
  isSupported(codec: string): boolean;
  createVideo(): HTMLVideoElement;
  createSource(): MediaSource;
  /** Lets a video play a source. Returns a function that ends this. */
  attach(video: HTMLVideoElement, source: MediaSource): () => void;
  /** A copy of the shown picture; `undefined` before the first one. */
  copy(video: HTMLVideoElement): Promise<ImageBitmap | undefined>;
}

/** The type of a fragmented MP4 file with this codec, whose parameter sets are not in the samples. */
export const containerType = (codec: string): string =>
  `video/mp4; codecs="${codec.replace(/^hev1/, 'hvc1')}"`;

/** Returns `undefined` if the browser has no media sources. */
export function browserMedia(): MediaBrowser | undefined {
  // iPhones have only the managed kind.
  const scope = globalThis as { MediaSource?: typeof MediaSource; ManagedMediaSource?: typeof MediaSource };
  const Source = scope.MediaSource ?? scope.ManagedMediaSource;
  if (typeof Source !== 'function' || typeof document === 'undefined') return undefined;
  return {
    isSupported: (codec) => Source.isTypeSupported(containerType(codec)),
    createVideo: () => document.createElement('video'),
    createSource: () => new Source(),
    attach(video, source) {
      const address = URL.createObjectURL(source);
      video.src = address;
      return () => {
        video.removeAttribute('src');
        video.load();
        URL.revokeObjectURL(address);
      };
    },
    copy: (video) => createImageBitmap(video).catch(() => undefined),
  };
}
