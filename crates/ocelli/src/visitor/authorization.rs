//! Visitors and what they may do.

use super::credential::{self, Credential, Found};
use crate::answer::Problem;
use crate::auth::Grant;
use crate::store::sessions::Session;
use crate::store::users::User;
use crate::store::walls::Wall;
use http::StatusCode;
use ocelli_core::name::{CameraId, DEFAULT_APP};
use ocelli_core::{Camera, Hub};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// The error for a viewer who is not, or no longer, allowed to watch.
pub const PRIVATE: &str = "playback in this app is not public: sign in, or use a play token";
/// The error for a wall link that is used for anything but its cameras.
pub const NOT_ON_WALL: &str =
    "the token belongs to a wall link, which opens only its cameras; public cameras need no token";
/// The error for a token that is no longer valid.
pub const LAPSED: &str = "the token has expired or was revoked";

/// The sender of a request. Clones are the same visitor.
#[derive(Clone)]
pub struct Visitor(pub(super) Arc<Inner>);

/// The state that clones of a visitor share.
pub struct Inner {
    hub: Arc<Hub>,
    pub(super) credentials: Vec<Credential>,
    authorization: RwLock<Authorization>,
}

/// What a visitor's credentials currently allow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Authorization {
    grant: Grant,
    /// The cameras that a play token or a wall link opens.
    cameras: BTreeSet<String>,
    /// The wall, if the visitor uses a wall link. The visitor then sees only its cameras, even if
    /// others are public.
    wall: Option<Wall>,
    signed_in: Option<(User, Session)>,
    /// The id of the user or token; recorded as the maker of new items.
    maker: Option<String>,
    /// Whether a token that was valid no longer is.
    pub(super) lapsed: bool,
}

impl Authorization {
    /// Combines the results of a lookup. A token that was not found counts as lapsed.
    pub fn of(found: Vec<Option<Found>>) -> Self {
        let mut authorization = Self::default();
        for found in found {
            match found {
                Some(Found::Everything) => authorization.grant.add(Grant::everything()),
                Some(Found::Token(token)) => {
                    authorization.maker = Some(token.id);
                    authorization.grant.add(Grant::new([token.allowance]));
                }
                Some(Found::Session(user, session)) => {
                    authorization.maker = Some(user.id.clone());
                    authorization.grant.add(user.grant());
                    authorization.signed_in = Some((user, session));
                }
                Some(Found::Cameras(cameras)) => authorization.cameras = cameras,
                Some(Found::Wall(wall)) => {
                    authorization.cameras.clone_from(&wall.cameras);
                    authorization.wall = Some(wall);
                }
                Some(Found::Nothing) => {}
                None => authorization.lapsed = true,
            }
        }
        if authorization.lapsed {
            return Self {
                lapsed: true,
                ..Self::default()
            };
        }
        authorization
    }
}

impl Visitor {
    /// A visitor to `hub` with these credentials and their current authorization.
    pub(super) fn new(
        hub: Arc<Hub>,
        credentials: Vec<Credential>,
        authorization: Authorization,
    ) -> Self {
        Self(Arc::new(Inner {
            hub,
            credentials,
            authorization: RwLock::new(authorization),
        }))
    }

    fn authorization<T>(&self, read: impl FnOnce(&Authorization) -> T) -> T {
        let authorization = self.0.authorization.read();
        read(&authorization.unwrap_or_else(PoisonError::into_inner))
    }

    /// The visitor's grant.
    pub fn grant(&self) -> Grant {
        self.authorization(|authorization| authorization.grant.clone())
    }

    /// The user and the session, if signed in.
    pub fn signed_in(&self) -> Option<(User, Session)> {
        self.authorization(|authorization| authorization.signed_in.clone())
    }

    /// The id of the user or token; recorded as the maker of new items.
    pub fn maker(&self) -> Option<String> {
        self.authorization(|authorization| authorization.maker.clone())
    }

    /// Returns true for an anonymous visitor, without any valid credential.
    pub fn is_anonymous(&self) -> bool {
        self.authorization(|authorization| *authorization == Authorization::default())
    }

    /// The wall that the visitor is restricted to, if a wall link is used.
    pub fn wall(&self) -> Option<Wall> {
        self.authorization(|authorization| authorization.wall.clone())
    }

    /// Whether a token of the visitor is no longer valid.
    pub fn has_lapsed(&self) -> bool {
        self.authorization(|authorization| authorization.lapsed)
    }

    /// Whether the visitor may watch a camera.
    pub fn may_watch(&self, camera: &CameraId) -> bool {
        let Some(app) = self.0.hub.app(camera.app()) else {
            return false;
        };
        self.authorization(|authorization| {
            if authorization.lapsed {
                return false;
            }
            if authorization.cameras.contains(camera.as_str()) {
                return true;
            }
            authorization.wall.is_none()
                && (app.public_playback
                    || authorization.grant.allows("camera:read", Some(&app.name)))
        })
    }

    /// Whether the visitor may read series. Every visitor who may watch app `live` may, except
    /// through a wall link.
    pub fn may_read_series(&self) -> bool {
        let public = self.0.hub.app(DEFAULT_APP);
        let public = public.is_some_and(|app| app.public_playback);
        self.authorization(|authorization| {
            let granted = || authorization.grant.allows("series:read", Some(DEFAULT_APP));
            !authorization.lapsed && authorization.wall.is_none() && (public || granted())
        })
    }

    /// The cameras that the visitor may watch, in the order in which they were added.
    pub fn cameras(&self) -> Vec<Arc<Camera>> {
        let mut cameras = self.0.hub.cameras();
        cameras.retain(|camera| self.may_watch(camera.id()));
        cameras
    }

    /// Finds the camera of an app and a room, if the visitor may watch it.
    ///
    /// # Errors
    /// 404 for an unknown app or room, 401 if the visitor may not watch.
    pub fn find(&self, app: &str, room: &str) -> Result<Arc<Camera>, Problem> {
        let hub = &self.0.hub;
        let Some(known) = hub.app(app) else {
            return Err(Problem::not_found(format!("there is no app {app:?}")));
        };
        let camera = hub.find(app, room);
        let may = match &camera {
            Some(camera) => self.may_watch(camera.id()),
            // A visitor who may not watch must not learn which cameras exist.
            None => known.public_playback || self.grant().allows("camera:read", Some(app)),
        };
        if !may {
            let why = match self.wall() {
                Some(_) => NOT_ON_WALL,
                None => PRIVATE,
            };
            return Err(Problem::new(StatusCode::UNAUTHORIZED, why));
        }
        let message = || format!("there is no camera {room:?} in app {app:?}");
        camera.ok_or_else(|| Problem::not_found(message()))
    }
}

impl Inner {
    /// The authorization while the store is unavailable.
    pub(super) fn without_store(&self) -> Authorization {
        Authorization::of(credential::without_store(&self.credentials))
    }

    /// Stores the result of a lookup. Returns true if the visitor's rights changed.
    pub(super) fn update(&self, authorization: Authorization) -> bool {
        let mut own = self
            .authorization
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // The session's time of last use changes regularly and affects no rights.
        let differs = (own.lapsed, &own.wall, &own.grant, &own.cameras)
            != (
                authorization.lapsed,
                &authorization.wall,
                &authorization.grant,
                &authorization.cameras,
            );
        *own = authorization;
        differs
    }
}
