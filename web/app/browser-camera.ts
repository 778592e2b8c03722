// Captures JPEG pictures from this browser's camera.

const QUALITY = 0.72;

export interface CameraOptions {
  /** In pixels. */
  readonly width: number;
  /** The back or the front camera of a phone. */
  readonly facing: 'environment' | 'user';
}

/** Returns why this page cannot use a camera, or undefined if it can. Browsers allow cameras on secure pages only. */
export function unavailableReason(): string | undefined {
  if ((navigator as { mediaDevices?: MediaDevices }).mediaDevices !== undefined) return undefined;
  return window.isSecureContext
    ? 'This browser does not let pages use a camera. Open this page in another browser.'
    : 'Browsers allow camera access on encrypted pages only. Start the hub with --tls local and open this page with https, or open it on the hub’s own machine as http://localhost.';
}

/** Returns the message for a camera that could not be opened. */
export function cameraErrorMessage(error: unknown): string {
  switch (error instanceof DOMException ? error.name : '') {
    case 'NotAllowedError':
      return 'This page is not allowed to use the camera. Allow it in the address bar, then try again.';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'No camera was found. Connect one, then try again.';
    case 'NotReadableError':
      return 'Another program is using the camera. Close that program, then try again.';
    default:
      return 'The camera could not be opened. Reload the page and try again.';
  }
}

export class BrowserCamera {
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

  /** Requests permission and opens the camera. Calls `onend` when it is disconnected or the permission is revoked. */
  static async open({ width, facing }: CameraOptions, onend: () => void): Promise<BrowserCamera> {
    const video = { width: { ideal: width }, facingMode: facing };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    const camera = new BrowserCamera(stream, width);
    stream.getVideoTracks()[0]?.addEventListener('ended', onend);
    await camera.#video.play();
    return camera;
  }

  /** Returns the current picture, at `scale` times the chosen width, or undefined before the first one. */
  async capture(scale: number): Promise<Blob | undefined> {
    const { videoWidth, videoHeight } = this.#video;
    if (videoWidth === 0) return undefined;
    const ratio = Math.min(1, (this.#width * scale) / videoWidth);
    this.#canvas.width = Math.max(2, Math.round(videoWidth * ratio));
    this.#canvas.height = Math.max(2, Math.round(videoHeight * ratio));
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
