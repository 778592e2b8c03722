// The messages between the page and its painter, with or without a worker.
import type { HubEvent, NativeCodec, StreamChoice } from '../client/events.ts';
import type { Link } from '../client/connection.ts';
import type { SoundUnit } from '../client/frame.ts';
import type { Rect } from './grid.ts';
import type { Bottleneck, Step } from './load-ladder.ts';
import type { FromMedia, ToMedia } from './media-messages.ts';

/** A camera's rectangle on a surface, in device pixels. */
export interface Placement extends Rect {
  readonly camera: string;
}

/** How much of a camera is asked for. `auto` is as much as the network and the device allow. */
export type Quality = 'auto' | 'best' | 'sub' | 'keys';

/** How a camera is watched. */
export interface Watch {
  /** `auto` depends on the size of the picture on the screen. */
  readonly stream: StreamChoice | 'auto';
  /** Whether native video may be shown. Otherwise it is JPEG. */
  readonly native: boolean;
  /** Whether the page shows MPEG-1 instead where the network is too slow for everything else. */
  readonly mpeg1?: boolean;
  /** `auto` if it is missing. */
  readonly quality?: Quality;
}

/** What is shown of a camera instead of the stream that suits its picture, and what is too slow or has failed. */
export interface Lowered {
  readonly step: Step | 'software' | 'jpeg';
  readonly cause: Bottleneck | 'decoder';
}

/** Why a camera is shown as JPEG instead of its native video. */
export type NotNative =
  | { readonly cause: 'insecure' | 'no-decoders' | 'silent' | 'error' | 'refused' | 'waiting' | 'chosen' }
  | { readonly cause: 'sends'; readonly codec: string }
  | { readonly cause: 'unsupported'; readonly codec: NativeCodec; readonly type: string | undefined }
  | { readonly cause: 'too-many'; readonly limit: number };

export type ToPainter =
  /** `media` is whether the page has media elements, for painters without video decoders. */
  | { readonly kind: 'open'; readonly url: string; readonly media?: boolean }
  | {
      readonly kind: 'surface';
      readonly surface: number;
      readonly canvas: OffscreenCanvas | HTMLCanvasElement;
    }
  | {
      readonly kind: 'layout';
      readonly surface: number;
      readonly width: number;
      readonly height: number;
      readonly placements: readonly Placement[];
    }
  | { readonly kind: 'remove'; readonly surface: number }
  | { readonly kind: 'watch'; readonly cameras: ReadonlyMap<string, Watch> }
  | { readonly kind: 'freeze'; readonly camera: string; readonly frozen: boolean }
  /** Selects the camera whose sound is sent, whether it is watched or not. */
  | { readonly kind: 'listen'; readonly camera: string | undefined }
  | { readonly kind: 'retry'; readonly cameras: readonly string[] }
  | { readonly kind: 'reconnectNow' }
  /** The hub makes no MPEG-1 of the camera. */
  | { readonly kind: 'noMpeg1'; readonly camera: string }
  | { readonly kind: 'read'; readonly request: number; readonly surface: number; readonly camera: string }
  | { readonly kind: 'media'; readonly message: FromMedia }
  | { readonly kind: 'close' };

export type PictureCodec = 'jpeg' | 'mpeg1' | NativeCodec;

/** The shown picture of a camera. */
export interface Picture {
  readonly camera: string;
  /** The number of pictures painted so far. */
  readonly painted: number;
  readonly fps: number;
  /** The typical time between two pictures in ms; 0 while unknown. */
  readonly interval: number;
  /** The capture time, or the hub's receipt time if the camera sends none; µs by the hub's clock. */
  readonly captureTime: number;
  /** Its age when it was painted; ms. */
  readonly paintedAge: number;
  readonly width: number;
  readonly height: number;
  readonly codec: PictureCodec;
  /** Whether the video decoder has lately been too slow for the camera. */
  readonly isDecoderSlow?: boolean;
  /** Whether the browser leaves out pictures now, because it decodes them too slowly. */
  readonly isSkipping?: boolean;
  /** Why it is not native video; missing if it is, and for MPEG-1. */
  readonly notNative?: NotNative;
}

export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

export type FromPainter =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'link'; readonly link: Link }
  | { readonly kind: 'event'; readonly event: HubEvent }
  | {
      readonly kind: 'pictures';
      /** µs to add to the local clock to get the hub's. */
      readonly clockOffset: number;
      readonly roundTrip: number | undefined;
      readonly pictures: readonly Picture[];
      readonly lowered: ReadonlyMap<string, Lowered>;
    }
  | { readonly kind: 'media'; readonly message: ToMedia }
  | { readonly kind: 'sound'; readonly unit: SoundUnit }
  | { readonly kind: 'pixels'; readonly request: number; readonly pixels: Pixels | undefined };
