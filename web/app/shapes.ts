// What the calls of the HTTP interface give and take, as far as these pages use it. The hub's own description is
// /api/v1/openapi.json.

export type RoleName = 'admin' | 'operator' | 'viewer';

/** What somebody is, in one app or, where that is null, in all of them. */
export interface Role {
  readonly role: RoleName;
  readonly app: string | null;
}

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly hasPassword: boolean;
}

/** What somebody may do: everywhere, and in each app. */
export interface Permissions {
  readonly global: readonly string[];
  readonly apps: Readonly<Record<string, readonly string[]>>;
}

export interface Session {
  readonly user: { readonly id: string; readonly name: string; readonly roles: readonly Role[] } | null;
  readonly permissions: Permissions;
  /** The first password has not been set yet. */
  readonly setupOpen: boolean;
  /** There are cameras, or may be, that not everybody may watch. */
  readonly somePrivate: boolean;
  /** What a wall's link opens, for a visitor who comes by one. */
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
  /** What the browser calls itself. */
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

/** What cameras that push may do in an app. */
export interface IngestLimits {
  readonly enabled: boolean;
  /** 0 for any number. */
  readonly maxCameras: number;
  readonly maxFps: number;
  readonly maxFrameKb: number;
  /** Seconds. */
  readonly idleTimeout: number;
}

/** The key of a camera that pushes, without its secret. */
export interface StreamKey {
  readonly id: string;
  /** The full one. */
  readonly room: string;
  readonly identity: string;
  readonly createdAt: number;
  readonly active: boolean;
  readonly device: PushingDevice | null;
}

/** What a connected device does. */
export interface PushingDevice {
  readonly streamId: string;
  readonly connectedAt: number;
  readonly frames: number;
  readonly aboveRate: number;
  readonly notJpeg: number;
  readonly lastStatsJson: string | null;
}

/** A key, the one time that it is shown. */
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
  /** What went wrong last, in whatever state it is; null once it works again. */
  readonly lastFailure: { readonly reason: string; readonly at: number } | null;
  readonly codec: string | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly frameAgeMs: number | null;
  readonly readOnly: boolean;
}

/** A camera as it is set, without its password. */
export interface SetCamera extends Camera {
  readonly source: string | null;
  readonly substream: string | null;
  readonly user: string | null;
  readonly hasPassword: boolean;
  readonly keep: boolean | null;
  readonly verifyTls: boolean | null;
  /** How often a single picture is fetched, like `500ms`. */
  readonly interval: string | null;
  readonly jpeg: Jpeg | null;
}

/** The JPEG that is made of H.264 and H.265; what is left out is as usual. */
export interface Jpeg {
  readonly fps: number | 'key' | null;
  readonly width: number | null;
  readonly quality: number | null;
}

/** A camera of the hub's own machine. */
export interface Device {
  readonly source: string;
  readonly name: string;
}

export interface Trial {
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

/** A wall's link, the one time that it is shown. */
export interface NewWall extends Wall {
  readonly url: string;
}

/** A token, the one time that it is shown. */
export interface NewToken extends Token {
  readonly token: string;
}

/** A person with the link by which they set a password, the one time that it is shown. */
export interface Invited extends Person {
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
  readonly points: number;
  readonly newest: readonly [number, number] | null;
  /** When that came, in ms since the epoch. */
  readonly lastAt: number | null;
  readonly clockOffsetMs: number | null;
  /** How many sources write into it now. */
  readonly sources: number;
  readonly malformed: number;
  readonly lastMalformed: string | null;
}

/** Who writes into a series, or did. */
export interface SeriesSource {
  readonly id: number;
  readonly name: string | null;
  readonly from: string;
  readonly since: number;
  readonly points: number;
  readonly malformed: number;
  readonly lastMalformed: string | null;
  readonly endedAt: number | null;
  readonly ended: string | null;
}

/** What of telemetry works, and what does not. */
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
