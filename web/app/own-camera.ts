// This browser's own camera: its picture now, as a JPEG.

const QUALITY = 0.72;

export interface Choice {
  /** Pixels across. */
  readonly width: number;
  /** A phone's camera at the back, or the one that looks at whoever holds it. */
  readonly facing: 'environment' | 'user';
}

/** Why there can be no camera, in words, if it is the page's fault: browsers give it to secure pages alone. */
export function unsafeWords(): string | undefined {
  if ((navigator as { mediaDevices?: MediaDevices }).mediaDevices !== undefined) return undefined;
  return window.isSecureContext
    ? 'This browser gives no camera to pages.'
    : 'Browsers give a camera to encrypted pages only. Open this page by https: start the hub with --tls local, or open it on the hub’s own machine as http://localhost.';
}

/** What a person is told when the camera can't be had. */
export function cameraWords(error: unknown): string {
  switch (error instanceof DOMException ? error.name : '') {
    case 'NotAllowedError':
      return 'The camera was not allowed. Allow it for this page in the address bar, and try again.';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'There is no camera here.';
    case 'NotReadableError':
      return 'The camera is in use by another program.';
    default:
      return 'The camera could not be opened.';
  }
}

export class OwnCamera {
  readonly stream: MediaStream;
  readonly #video = document.createElement('video');
  readonly #canvas = document.createElement('canvas');
  readonly #width: number;

  private constructor(stream: MediaStream, width: number) {
    this.stream = stream;
    this.#width = width;
    this.#video.muted = true;
    this.#video.playsInline = true;
    this.#video.srcObject = stream;
  }

  /** Asks the person, and the camera. `onend` hears that it was pulled or taken away. */
  static async open({ width, facing }: Choice, onend: () => void): Promise<OwnCamera> {
    const video = { width: { ideal: width }, facingMode: facing };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    const camera = new OwnCamera(stream, width);
    stream.getVideoTracks()[0]?.addEventListener('ended', onend);
    await camera.#video.play();
    return camera;
  }

  /** The picture now, `scale` times as wide as was chosen; none while there is none. */
  async grab(scale: number): Promise<Blob | undefined> {
    const { videoWidth, videoHeight } = this.#video;
    if (videoWidth === 0) return undefined;
    const across = Math.min(1, (this.#width * scale) / videoWidth);
    this.#canvas.width = Math.max(2, Math.round(videoWidth * across));
    this.#canvas.height = Math.max(2, Math.round(videoHeight * across));
    this.#canvas
      .getContext('2d', { alpha: false })
      ?.drawImage(this.#video, 0, 0, this.#canvas.width, this.#canvas.height);
    return new Promise((resolve) => {
      this.#canvas.toBlob((blob) => resolve(blob ?? undefined), 'image/jpeg', QUALITY);
    });
  }

  close(): void {
    this.stream.getTracks().forEach((track) => track.stop());
    this.#video.srcObject = null;
  }
}
