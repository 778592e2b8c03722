// Plays the native video of one camera in a <video> element (Media Source Extensions), close to its newest picture. It
// runs in the page.
import type { Platform } from '../client/connection.ts';
import type { MediaFailure, MediaUnit } from './media-messages.ts';
import { containerType, type MediaBrowser } from './media-browser.ts';
import { MediaTimeline } from './media-timeline.ts';
import { fragment, initSegment, join } from './fragmented-mp4.ts';
import { hasPicture, isClosedKey, sampleUnits, splitUnits } from './parameter-sets.ts';
import { MAX_TARGET, MIN_TARGET, steer } from './playback-rate.ts';

export interface MediaPlayerEvents {
  /** The browser has taken a unit, or it was skipped. Called once for each unit. */
  taken(): void;
  /** A picture is on the screen. */
  shown(captureTime: number, width: number, height: number): void;
  /** The browser has shown few of the last pictures, because it cannot decode them in time. */
  skipping(): void;
  /** It cannot play on; `worked` is whether it has shown pictures. */
  failed(failure: MediaFailure, worked: boolean): void;
}

interface Segment {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The codec, if it starts with an initialization segment. */
  readonly type: string | undefined;
  /** Whether it has been counted as taken. */
  readonly isTaken: boolean;
}

/** A player that has shown nothing for this long, in ms, and since this many units, is silent. */
const SILENCE_LIMIT = 2_500;
const SILENT_UNITS = 8;
const WATCH_INTERVAL = 500;
/** What was played is removed after this long; s. */
const KEPT = 3;
const MICRO = 1_000_000;
/** If playback ran out of pictures or skipped some, it stays further behind them, for some time; s and ms. */
const TARGET_STEP = 0.03;
const CALM = 10_000;
/** How many units are compared with the pictures that were shown of them, and the part that must be. */
const COMPARED = 16;
const ENOUGH = 0.8;
/** The browser is too slow for the pictures if it shows no more than this part of them. */
const FEW = 0.5;
/**
 * That is known only of pictures that come in time: none so much later than after the one before it, in ms, and all of
 * them not in less than this part of their own time.
 */
const MAX_PAUSE = 500;
const EVEN = 0.7;
/** The most units that wait for the others of their group. */
const MAX_HELD = 16;
/** After a jump, pictures that were jumped over are not compared; ms. */
const SETTLED = 1_500;
/** A jump takes time, in ms, so the next one waits. */
const JUMP_INTERVAL = 700;
const STEP_INTERVAL = 1_000;

export class MediaPlayer {
  readonly video: HTMLVideoElement;
  readonly #browser: MediaBrowser;
  readonly #platform: Platform;
  readonly #events: MediaPlayerEvents;
  readonly #source: MediaSource;
  readonly #detach: () => void;
  readonly #timeline = new MediaTimeline();
  #buffer: SourceBuffer | undefined;
  /** The parameter sets of the newest initialization segment. */
  #sets = '';
  #type = '';
  #sequence = 0;
  #queue: Segment[] = [];
  /** Units that are being appended. */
  #appending = 0;
  /** The presentation times of key frames in the buffer; s. */
  #keys: number[] = [];
  #started = false;
  #stopped = false;
  #worked = false;
  #target = MIN_TARGET;
  #targetChangedAt = 0;
  #jumpedAt = 0;
  /** Units and shown pictures since they were last compared. */
  #compared = 0;
  /** When the first and the last of these units came, and their capture times; ms. */
  #comparedSince = 0;
  #comparedAt = 0;
  #capturedSince = 0;
  #capturedAt = 0;
  #isEven = true;
  /**
   * Whether a unit is appended only together with those that are shown before it. At the end of their buffer some
   * browsers show what they have, and skip pictures that come later and belong before that.
   */
  #isGrouped = false;
  #held: Segment[] = [];
  /** The latest presentation times of what is held and of what is not; µs. */
  #heldNewest = 0;
  #newest = 0;
  #shown = 0;
  #unitsSincePicture = 0;
  #silentSince = 0;
  #checkedAt = 0;
  #cancelWatch: (() => void) | undefined;
  #cancelPolling: (() => void) | undefined;

  constructor(browser: MediaBrowser, platform: Platform, events: MediaPlayerEvents) {
    this.#browser = browser;
    this.#platform = platform;
    this.#events = events;
    this.#checkedAt = this.#silentSince = platform.now();
    const video = browser.createVideo();
    this.video = video;
    video.muted = true;
    video.playsInline = true;
    video.disablePictureInPicture = true;
    video.disableRemotePlayback = true;
    video.setAttribute('aria-hidden', 'true');
    video.onerror = () => this.#fail('error');
    video.onwaiting = () => this.#keepFarther(TARGET_STEP);
    // A browser pauses an element that is moved in the page.
    video.onpause = () => this.#play();
    this.#source = browser.createSource();
    this.#source.addEventListener('sourceopen', () => this.#pump());
    this.#detach = browser.attach(video, this.#source);
    this.#watchPictures();
    this.#watchSilence();
  }

  append(unit: MediaUnit): void {
    const { codec, type, isKey, captureTime, payload } = unit;
    const nals = splitUnits(payload);
    let init: Uint8Array<ArrayBuffer> | undefined;
    if (isKey) {
      init = initSegment(codec, nals);
      const sets = init ? String(init) : this.#sets;
      if (sets === this.#sets) init = undefined;
      this.#sets = sets;
    }
    const sample = sampleUnits(codec, nals);
    if (this.#sets === '' || !hasPicture(codec, sample)) {
      this.#events.taken();
      return;
    }
    const times = this.#timeline.next(captureTime, isKey, isKey && isClosedKey(codec, sample));
    if (!times) {
      this.#events.taken();
      return;
    }
    if (isKey) this.#keys.push(times.presentationTime / MICRO);
    this.#sequence += 1;
    const bytes = fragment(this.#sequence, times, isKey, sample);
    // What is shown before all that follows is complete.
    if (times.presentationTime >= this.#timeline.newest || this.#held.length >= MAX_HELD) this.#release();
    this.#held.push({
      bytes: init ? join([init, bytes]) : bytes,
      type: init && type,
      isTaken: this.#isGrouped,
    });
    this.#heldNewest = this.#timeline.newest;
    if (this.#isGrouped) this.#events.taken();
    else this.#release();
    if (this.#unitsSincePicture === 0) this.#silentSince = this.#platform.now();
    this.#unitsSincePicture += 1;
    this.#compare(captureTime / 1000);
    this.#pump();
  }

  /** Stops and returns a copy of the picture that the element keeps showing. */
  async stop(): Promise<ImageBitmap | undefined> {
    this.#stopped = true;
    this.#cancelWatch?.();
    this.#cancelPolling?.();
    this.video.pause();
    return this.#worked ? this.#browser.copy(this.video) : undefined;
  }

  /** Releases the element. */
  remove(): void {
    this.#stopped = true;
    this.#cancelWatch?.();
    this.#cancelPolling?.();
    this.video.remove();
    this.#detach();
  }

  #release(): void {
    this.#queue.push(...this.#held.splice(0));
    this.#newest = this.#heldNewest;
  }

  /** Hands the browser what waits, as far as it takes it. */
  #pump(): void {
    const [first] = this.#queue;
    if (!first || this.#stopped || this.#source.readyState !== 'open') return;
    if (this.#buffer?.updating) return;
    try {
      if (first.type !== undefined && first.type !== this.#type) this.#setType(first.type);
      const buffer = this.#buffer;
      if (!buffer) return;
      if (this.#trim(buffer, KEPT)) return;
      // All at once, up to another type.
      const end = this.#queue.findIndex(
        ({ type }, index) => index > 0 && type !== undefined && type !== this.#type,
      );
      const batch = end < 0 ? this.#queue : this.#queue.slice(0, end);
      buffer.appendBuffer(join(batch.map(({ bytes }) => bytes)));
      this.#queue = end < 0 ? [] : this.#queue.slice(end);
      // Added, because the event for the batch before may not have come yet although the buffer is free again.
      this.#appending += batch.filter(({ isTaken }) => !isTaken).length;
    } catch (error) {
      const isFull = error instanceof DOMException && error.name === 'QuotaExceededError';
      if (!isFull || !this.#buffer || !this.#trim(this.#buffer, 0)) this.#fail('error');
    }
  }

  #setType(type: string): void {
    this.#type = type;
    const container = containerType(type);
    if (this.#buffer) {
      // Older browsers take another profile of the same codec without it.
      if ('changeType' in this.#buffer) this.#buffer.changeType(container);
      return;
    }
    this.#buffer = this.#source.addSourceBuffer(container);
    this.#buffer.addEventListener('updateend', () => this.#onUpdated());
  }

  /** Removes groups that were played `kept` seconds ago. Returns whether it does. */
  #trim(buffer: SourceBuffer, kept: number): boolean {
    const { currentTime } = this.video;
    // Without its key frame a group is removed as a whole, so the end is at one.
    const end = this.#keys.findLastIndex((time) => time <= currentTime - kept);
    const key = this.#keys[end];
    if (end < 1 || key === undefined) return false;
    this.#keys.splice(0, end);
    buffer.remove(0, key);
    return true;
  }

  #onUpdated(): void {
    if (this.#stopped) return;
    for (; this.#appending > 0; this.#appending--) this.#events.taken();
    if (this.#buffer && this.#buffer.buffered.length > 0) {
      if (!this.#started) this.#start();
      this.#steer();
    }
    this.#pump();
  }

  #start(): void {
    this.#started = true;
    this.#jump();
    this.#play();
  }

  #play(): void {
    if (!this.#started || this.#stopped) return;
    this.video.play().catch((error: unknown) => {
      // Others are about a play that was interrupted.
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.#fail('refused');
    });
  }

  #steer(): void {
    const { video } = this;
    if (video.seeking) return;
    const now = this.#platform.now();
    if (now - this.#targetChangedAt > CALM) this.#keepFarther(-TARGET_STEP);
    const steering = steer(this.#edge - video.currentTime, this.#target, video.playbackRate);
    if (steering === 'jump') {
      if (now - this.#jumpedAt > JUMP_INTERVAL) this.#jump();
    } else if (steering.rate !== video.playbackRate) video.playbackRate = steering.rate;
  }

  #jump(): void {
    const [first = 0] = this.#keys;
    const { video } = this;
    const { buffered } = this.#buffer ?? video;
    // The browser may have discarded what is newer.
    const end = Math.min(this.#edge, buffered.end(buffered.length - 1));
    video.currentTime = Math.max(first, end - this.#target);
    video.playbackRate = 1;
    this.#jumpedAt = this.#platform.now();
  }

  /**
   * Up to where pictures can be shown; s. Where they are not shown in the order in which they are decoded, those before
   * the newest may be missing, and a decoder holds back about as many more before it knows their order.
   */
  get #edge(): number {
    const { stepBack } = this.#timeline;
    return (this.#newest - (this.#isGrouped ? 1 : 2) * stepBack) / MICRO;
  }

  /** How far ahead of the shown picture browsers need others differs between them. */
  #keepFarther(step: number): void {
    const now = this.#platform.now();
    if (!this.#worked || now - this.#targetChangedAt < STEP_INTERVAL) return;
    this.#target = Math.min(MAX_TARGET, Math.max(MIN_TARGET, this.#target + step));
    this.#targetChangedAt = now;
  }

  #compare(captured: number): void {
    const now = this.#platform.now();
    const pause = now - this.#comparedAt - Math.max(0, captured - this.#capturedAt);
    this.#isEven &&= pause < MAX_PAUSE;
    this.#comparedAt = now;
    this.#capturedAt = captured;
    this.#compared += 1;
    const isSettled = now - this.#jumpedAt > SETTLED;
    if (isSettled && this.#compared < COMPARED) return;
    const isEven = this.#isEven && now - this.#comparedSince > (captured - this.#capturedSince) * EVEN;
    // Of reordered pictures, browsers may skip some without being slow.
    const areFew = this.#shown < COMPARED * FEW && this.#worked && !this.#timeline.isReordered;
    if (isSettled && isEven && areFew) this.#events.skipping();
    this.#comparedSince = now;
    this.#capturedSince = captured;
    this.#isEven = true;
    if (isSettled && this.#shown < COMPARED * ENOUGH) {
      if (this.#timeline.isReordered) this.#isGrouped = true;
      else this.#keepFarther(TARGET_STEP);
    }
    this.#compared = this.#shown = 0;
  }

  #watchPictures(): void {
    const { video } = this;
    if (typeof video.requestVideoFrameCallback === 'function') {
      const next = (): void => {
        if (this.#stopped) return;
        video.requestVideoFrameCallback((_, { mediaTime }) => {
          if (this.#stopped) return;
          this.#onPicture(mediaTime);
          next();
        });
      };
      next();
    } else {
      this.#pollPictures(0);
    }
  }

  /** For browsers that do not report pictures. */
  #pollPictures(before: number): void {
    const video = this.video;
    this.#cancelPolling = this.#platform.after(30, () => {
      const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
      const shown = totalVideoFrames - droppedVideoFrames;
      if (shown > before) this.#onPicture(video.currentTime);
      this.#pollPictures(shown);
    });
  }

  #onPicture(mediaTime: number): void {
    const captureTime = this.#timeline.captureTime(mediaTime * MICRO);
    const { videoWidth, videoHeight } = this.video;
    if (captureTime === undefined || videoWidth === 0) return;
    this.#worked = true;
    this.#shown += 1;
    this.#unitsSincePicture = 0;
    this.#events.shown(captureTime, videoWidth, videoHeight);
  }

  #watchSilence(): void {
    this.#cancelWatch = this.#platform.after(WATCH_INTERVAL, () => {
      const now = this.#platform.now();
      // After a pause of the page itself, the pictures come later than this.
      if (now - this.#checkedAt > 2 * WATCH_INTERVAL || now < this.#silentSince) this.#silentSince = now;
      this.#checkedAt = now;
      const isSilent = now - this.#silentSince >= SILENCE_LIMIT && this.#unitsSincePicture >= SILENT_UNITS;
      if (isSilent) this.#fail('silent');
      else this.#watchSilence();
    });
  }

  #fail(failure: MediaFailure): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#cancelWatch?.();
    this.#cancelPolling?.();
    this.#events.failed(failure, this.#worked);
  }
}
