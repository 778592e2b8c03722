// Names of codecs, and sentences about why a camera is not shown as native video.
import type { NotNative, Picture, PictureCodec } from './messages.ts';

const NAMES: Readonly<Record<PictureCodec, string>> = {
  jpeg: 'JPEG',
  mpeg1: 'MPEG-1',
  h264: 'H.264',
  h265: 'H.265',
};

export function codecName(codec: PictureCodec): string {
  return NAMES[codec];
}

/** Returns a phrase that follows the name of the codec. */
export function notNativeReason(reason: NotNative): string {
  switch (reason.cause) {
    case 'insecure':
      return 'because this page is not served over https';
    case 'no-decoders':
      return 'because this browser has no video decoders for pages';
    case 'silent':
      return 'because the video decoder did not respond';
    case 'error':
      return 'because the video decoder failed';
    case 'refused':
      return 'until you press a key or click, because this browser does not start video by itself';
    case 'waiting':
      return 'until the next key frame of the camera';
    case 'chosen':
      return 'set on this tile';
    case 'sends':
      return reason.codec === 'jpeg'
        ? 'because the camera sends JPEG'
        : 'because the camera sends neither H.264 nor H.265';
    case 'unsupported': {
      const type = reason.type === undefined ? '' : ` (${reason.type})`;
      return `because this browser cannot decode ${codecName(reason.codec)}${type}`;
    }
    case 'too-many':
      return `because this page plays ${reason.limit} other cameras as video`;
  }
}

/** Returns the reason of a picture that is not native video; empty for native video and MPEG-1. */
export function pictureReason({ notNative }: Picture): string {
  return notNative ? notNativeReason(notNative) : '';
}

/** Returns a size such as "1280×720". */
export function formatSize({ width, height }: Pick<Picture, 'width' | 'height'>): string {
  return `${width}×${height}`;
}
