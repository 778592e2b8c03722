// The request and response types of the HTTP API that these pages use. The full description is
// /api/v1/openapi.json.

export type RoleName = 'admin' | 'operator' | 'viewer';

/** A user's role in one app, or in all apps if `app` is null. */
export interface Role {
  readonly role: RoleName;
  readonly app: string | null;
}

export interface User {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly hasPassword: boolean;
}

/** A user's permissions: in all apps, and in each app. */
export interface Permissions {
  readonly global: readonly string[];
  readonly apps: Readonly<Record<string, readonly string[]>>;
}

export interface Session {
  readonly user: { readonly id: string; readonly name: string; readonly roles: readonly Role[] } | null;
  readonly permissions: Permissions;
  /** Whether the first password has not been set yet. */
  readonly setupOpen: boolean;
  /** Whether at least one app is not public. */
  readonly somePrivate: boolean;
  /** The wall, for a visitor with a wall link. */
  readonly wall: VisitedWall | null;
}

export interface VisitedWall {
  readonly name: string;
  readonly expiresAt: number;
}

export interface OpenSession {
  readonly id: string;
  readonly userId: string;
  readonly current: boolean;
  readonly createdAt: number;
  readonly seenAt: number;
  readonly address: string;
  /** The browser's user agent. */
  readonly agent: string;
}

export interface App {
  readonly id: string;
  readonly name: string;
  readonly publicPlayback: boolean;
  readonly wsIngest: IngestLimits;
  readonly readOnly: boolean;
  readonly cameras: number;
}

/** The limits for devices that push to an app. */
export interface IngestLimits {
  readonly enabled: boolean;
  /** 0 means no limit. */
  readonly maxCameras: number;
  readonly maxFps: number;
  readonly maxFrameKb: number;
  /** In seconds. */
  readonly idleTimeout: number;
}

/** A device's key, without the secret. */
export interface StreamKey {
  readonly id: string;
  /** The full name of the room, with the app's prefix. */
  readonly room: string;
  readonly identity: string;
  readonly createdAt: number;
  readonly active: boolean;
  readonly device: ConnectedDevice | null;
}

/** A connected device, with its counters. */
export interface ConnectedDevice {
  readonly streamId: string;
  readonly connectedAt: number;
  readonly frames: number;
  readonly aboveRate: number;
  readonly notJpeg: number;
  readonly lastStatsJson: string | null;
}

/** A new key with its secret, which is shown only once. */
export interface NewStreamKey {
  readonly id: string;
  readonly streamKey: string;
  readonly room: string;
  readonly identity: string;
}

export interface Token {
  readonly id: string;
  readonly name: string;
  readonly scope: 'global' | 'app';
  readonly appId: string | null;
  readonly permissions: readonly string[];
  readonly createdAt: number;
}

export interface Camera {
  readonly id: string;
  readonly app: string;
  readonly room: string;
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly reason: string | null;
  /** The last failure, in any state; null once the camera works again. */
  readonly lastFailure: { readonly reason: string; readonly at: number } | null;
  readonly codec: string | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly frameAgeMs: number | null;
  readonly readOnly: boolean;
}

/** A camera with its settings, without the password. */
export interface CameraConfig extends Camera {
  readonly source: string | null;
  readonly substream: string | null;
  readonly user: string | null;
  readonly hasPassword: boolean;
  readonly keep: boolean | null;
  readonly verifyTls: boolean | null;
  /** The interval between single pictures, for example `500ms`. */
  readonly interval: string | null;
  readonly jpeg: Jpeg | null;
}

/** The settings of JPEG transcodes of H.264 and H.265; null means the default. */
export interface Jpeg {
  readonly fps: number | 'key' | null;
  readonly width: number | null;
  readonly quality: number | null;
}

/** A camera plugged into the hub's machine. */
export interface LocalCamera {
  readonly source: string;
  readonly name: string;
}

/** The result of testing a camera. */
export interface CameraTest {
  readonly ok: boolean;
  readonly reason: string | null;
  readonly codec: string | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly still: string | null;
}

export interface Wall {
  readonly id: string;
  readonly name: string;
  readonly cameras: readonly string[];
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** A new wall with its link, which is shown only once. */
export interface NewWall extends Wall {
  readonly url: string;
}

/** A new token with its secret, which is shown only once. */
export interface NewToken extends Token {
  readonly token: string;
}

/** A user with the link to set a password, which is shown only once. */
export interface InvitedUser extends User {
  readonly link: string | null;
}

export interface PlayToken {
  readonly token: string;
  readonly app: string;
  readonly room: string;
  readonly expiresAt: number;
}

export interface Series {
  readonly id: number;
  readonly name: string;
  readonly unit: string | null;
  /** Whether x is a time, in ms since the epoch. */
  readonly timed: boolean;
  readonly points: number;
  readonly newest: readonly [number, number] | null;
  /** When the newest sample arrived, in ms since the epoch. */
  readonly lastAt: number | null;
  readonly clockOffsetMs: number | null;
  /** The number of connected sources. */
  readonly sources: number;
  readonly malformed: number;
  readonly lastMalformed: string | null;
}

/** A current or past source of a series. */
export interface SeriesSource {
  readonly id: number;
  /** The name of its series; null if the series was deleted, or was never created. */
  readonly name: string | null;
  readonly from: string;
  readonly since: number;
  readonly points: number;
  readonly malformed: number;
  readonly lastMalformed: string | null;
  readonly endedAt: number | null;
  readonly ended: string | null;
}

/** The status of telemetry, with its faults. */
export interface SeriesStatus {
  readonly series: number;
  readonly maxSeries: number;
  readonly sources: number;
  readonly dropped: number;
  readonly ports: readonly {
    readonly key: string;
    readonly address: string;
    readonly fault: string | null;
  }[];
  readonly fileFault: string | null;
}
