//! Who asks, and what they may do.

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

/// What somebody is told who may not watch, or no more.
pub const PRIVATE: &str = "playback in this app is not public: sign in, or use a play token";
/// What somebody is told who comes by a wall's link and asks for something else.
pub const NOT_ON_WALL: &str =
    "the token is a wall link's, which is for its cameras alone; what is public is seen without it";
/// What somebody is told whose token has ended.
pub const LAPSED: &str = "the token has expired or was revoked";

/// Who asks. Clones are the same visitor.
#[derive(Clone)]
pub struct Visitor(pub(super) Arc<Inner>);

/// What clones of a visitor share.
pub struct Inner {
    hub: Arc<Hub>,
    pub(super) credentials: Vec<Credential>,
    authorization: RwLock<Authorization>,
}

/// What a visitor's credentials come to just now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Authorization {
    grant: Grant,
    /// What a play token or a wall link opens.
    cameras: BTreeSet<String>,
    /// The wall whose link they come by: they see its cameras alone, though others are
    /// public.
    wall: Option<Wall>,
    signed_in: Option<(User, Session)>,
    /// The id of the user or the token, for what is made in their name.
    maker: Option<String>,
    /// Whether a token that was good is good no more.
    pub(super) lapsed: bool,
}

impl Authorization {
    /// What these come to; a token that is none any more has lapsed.
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
    /// A visitor to `hub` with these credentials, which came to `authorization`.
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

    fn authorization<T>(&self, look: impl FnOnce(&Authorization) -> T) -> T {
        let authorization = self.0.authorization.read();
        look(&authorization.unwrap_or_else(PoisonError::into_inner))
    }

    /// What they may do.
    pub fn grant(&self) -> Grant {
        self.authorization(|authorization| authorization.grant.clone())
    }

    /// The user and the session, if they are signed in.
    pub fn signed_in(&self) -> Option<(User, Session)> {
        self.authorization(|authorization| authorization.signed_in.clone())
    }

    /// The id of the user or the token, for what is made in their name.
    pub fn maker(&self) -> Option<String> {
        self.authorization(|authorization| authorization.maker.clone())
    }

    /// Whether they brought nothing that is good.
    pub fn is_anybody(&self) -> bool {
        self.authorization(|authorization| *authorization == Authorization::default())
    }

    /// The wall that they see alone, if they come by a link to one.
    pub fn wall(&self) -> Option<Wall> {
        self.authorization(|authorization| authorization.wall.clone())
    }

    /// Whether a token that they brought is good no more.
    pub fn has_lapsed(&self) -> bool {
        self.authorization(|authorization| authorization.lapsed)
    }

    /// Whether they may watch a camera.
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

    /// Whether they may look at series: whoever may watch app `live` may, but for one
    /// whose link is for some cameras alone.
    pub fn may_look(&self) -> bool {
        let public = self.0.hub.app(DEFAULT_APP);
        let public = public.is_some_and(|app| app.public_playback);
        self.authorization(|authorization| {
            let granted = || authorization.grant.allows("series:read", Some(DEFAULT_APP));
            !authorization.lapsed && authorization.wall.is_none() && (public || granted())
        })
    }

    /// The cameras that they may watch, in the order in which they were added.
    pub fn cameras(&self) -> Vec<Arc<Camera>> {
        let mut cameras = self.0.hub.cameras();
        cameras.retain(|camera| self.may_watch(camera.id()));
        cameras
    }

    /// Finds the camera that an address names, if they may watch it.
    ///
    /// # Errors
    /// 404 for an unknown app or room, 401 where they may not watch.
    pub fn find(&self, app: &str, room: &str) -> Result<Arc<Camera>, Problem> {
        let hub = &self.0.hub;
        let Some(known) = hub.app(app) else {
            return Err(Problem::not_found(format!("there is no app {app:?}")));
        };
        let camera = hub.find(app, room);
        let may = match &camera {
            Some(camera) => self.may_watch(camera.id()),
            // Whoever may not watch does not learn which cameras there are.
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
    /// What they come to when the store can't be asked.
    pub(super) fn without_store(&self) -> Authorization {
        Authorization::of(credential::without_store(&self.credentials))
    }

    /// Takes what was found; whether it is something else than before.
    pub(super) fn update(&self, authorization: Authorization) -> bool {
        let mut own = self
            .authorization
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // A session is seen from time to time; that changes nothing for anybody.
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
