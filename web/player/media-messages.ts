// The messages about media elements, which are in the page, between the page and its painter.
import type { DecoderFailure } from './native-decoder.ts';

/** `refused`: the page may not play video yet. */
export type MediaFailure = DecoderFailure | 'refused';

/** An access unit in Annex B. */
export interface MediaUnit {
  readonly codec: number;
  /** The codec as browsers name it: `avc1.64001f`. */
  readonly type: string;
  readonly isKey: boolean;
  readonly captureTime: number;
  readonly payload: Uint8Array<ArrayBuffer>;
}

export type ToMedia =
  | { readonly kind: 'ask'; readonly type: string }
  | { readonly kind: 'start'; readonly player: number; readonly camera: string }
  | { readonly kind: 'unit'; readonly player: number; readonly unit: MediaUnit }
  | { readonly kind: 'stop'; readonly player: number };

export type FromMedia =
  | { readonly kind: 'answer'; readonly type: string; readonly isSupported: boolean }
  | { readonly kind: 'taken'; readonly player: number }
  | {
      readonly kind: 'shown';
      readonly player: number;
      readonly captureTime: number;
      readonly width: number;
      readonly height: number;
    }
  | {
      readonly kind: 'failed';
      readonly player: number;
      readonly failure: MediaFailure;
      readonly worked: boolean;
    }
  /** The browser has shown few of the last pictures. */
  | { readonly kind: 'skipping'; readonly player: number }
  /** The last picture of a player that was stopped. Its element is removed soon. */
  | { readonly kind: 'still'; readonly player: number; readonly image: ImageBitmap | undefined }
  /** The person has used the page, so it may play video. */
  | { readonly kind: 'allowed' };
