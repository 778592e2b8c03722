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
    pub(super) brought: Vec<Credential>,
    standing: RwLock<Standing>,
}

/// What a visitor's credentials come to just now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
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

impl Standing {
    /// What these come to; a token that is none any more has lapsed.
    pub fn of(found: Vec<Option<Found>>) -> Self {
        let mut standing = Self::default();
        for found in found {
            match found {
                Some(Found::Everything) => standing.grant.add(Grant::everything()),
                Some(Found::Token(token)) => {
                    standing.maker = Some(token.id);
                    standing.grant.add(Grant::new([token.allowance]));
                }
                Some(Found::Session(user, session)) => {
                    standing.maker = Some(user.id.clone());
                    standing.grant.add(user.grant());
                    standing.signed_in = Some((user, session));
                }
                Some(Found::Cameras(cameras)) => standing.cameras = cameras,
                Some(Found::Wall(wall)) => {
                    standing.cameras.clone_from(&wall.cameras);
                    standing.wall = Some(wall);
                }
                Some(Found::Nothing) => {}
                None => standing.lapsed = true,
            }
        }
        if standing.lapsed {
            return Self {
                lapsed: true,
                ..Self::default()
            };
        }
        standing
    }
}

impl Visitor {
    /// A visitor to `hub` with these credentials, which came to `standing`.
    pub(super) fn new(hub: Arc<Hub>, brought: Vec<Credential>, standing: Standing) -> Self {
        Self(Arc::new(Inner {
            hub,
            brought,
            standing: RwLock::new(standing),
        }))
    }

    fn standing<T>(&self, look: impl FnOnce(&Standing) -> T) -> T {
        let standing = self.0.standing.read();
        look(&standing.unwrap_or_else(PoisonError::into_inner))
    }

    /// What they may do.
    pub fn grant(&self) -> Grant {
        self.standing(|standing| standing.grant.clone())
    }

    /// The user and the session, if they are signed in.
    pub fn signed_in(&self) -> Option<(User, Session)> {
        self.standing(|standing| standing.signed_in.clone())
    }

    /// The id of the user or the token, for what is made in their name.
    pub fn maker(&self) -> Option<String> {
        self.standing(|standing| standing.maker.clone())
    }

    /// Whether they brought nothing that is good.
    pub fn is_anybody(&self) -> bool {
        self.standing(|standing| *standing == Standing::default())
    }

    /// The wall that they see alone, if they come by a link to one.
    pub fn wall(&self) -> Option<Wall> {
        self.standing(|standing| standing.wall.clone())
    }

    /// Whether a token that they brought is good no more.
    pub fn has_lapsed(&self) -> bool {
        self.standing(|standing| standing.lapsed)
    }

    /// Whether they may watch a camera.
    pub fn may_watch(&self, camera: &CameraId) -> bool {
        let Some(app) = self.0.hub.app(camera.app()) else {
            return false;
        };
        self.standing(|standing| {
            if standing.lapsed {
                return false;
            }
            if standing.cameras.contains(camera.as_str()) {
                return true;
            }
            standing.wall.is_none()
                && (app.public_playback || standing.grant.allows("camera:read", Some(&app.name)))
        })
    }

    /// Whether they may look at series: whoever may watch app `live` may, but for one
    /// whose link is for some cameras alone.
    pub fn may_look(&self) -> bool {
        let public = self.0.hub.app(DEFAULT_APP);
        let public = public.is_some_and(|app| app.public_playback);
        self.standing(|standing| {
            let granted = || standing.grant.allows("series:read", Some(DEFAULT_APP));
            !standing.lapsed && standing.wall.is_none() && (public || granted())
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
    pub(super) fn without_store(&self) -> Standing {
        Standing::of(credential::without_store(&self.brought))
    }

    /// Takes what was found; whether it is something else than before.
    pub(super) fn now_stands(&self, standing: Standing) -> bool {
        let mut own = self
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // A session is seen from time to time; that changes nothing for anybody.
        let differs = (own.lapsed, &own.wall, &own.grant, &own.cameras)
            != (
                standing.lapsed,
                &standing.wall,
                &standing.grant,
                &standing.cameras,
            );
        *own = standing;
        differs
    }
}
