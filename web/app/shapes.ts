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
  /** What a wall's link opens, for a visitor who comes by one. */
  readonly wall: VisitedWall | null;
}

export interface VisitedWall {
  readonly name: string;
  readonly expiresAt: number;
}

export interface OpenSession {
  readonly id: string;
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
  readonly readOnly: boolean;
  readonly cameras: number;
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
