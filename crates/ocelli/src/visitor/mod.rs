//! Who asks: what came with a request, looked up once, and whether it is still good
//! while a stream goes on.
//!
//! Anybody may come without anything; public cameras are for all. What somebody brings
//! is a session's cookie, a token in the `Authorization` header, or a play token or
//! wall link as `?token=`. A cookie that is no good counts for nothing; a token that is
//! no good is refused, so that whoever sent it learns why they see nothing.
//!
//! What does not belong here: what a route needs (`api`), and how secrets are made and
//! kept (`auth`, `store`).

mod attempts;
mod credential;
mod identity;
mod origin;
mod rounds;

pub use attempts::Attempts;
pub use identity::{Identity, now};
pub use origin::{comes_from_own_page, cookie, cookie_name};
pub use rounds::{Visitors, rounds};

use crate::answer::Problem;
use crate::auth::Grant;
use crate::store::sessions::Session;
use crate::store::users::User;
use crate::store::walls::Wall;
use axum::extract::{FromRef, FromRequestParts};
use credential::{Credential, Fault, Found};
use http::StatusCode;
use http::request::Parts;
use ocelli_core::name::{CameraId, DEFAULT_APP};
use ocelli_core::{Camera, Hub};
use ocelli_net::connection::Peer;
use ocelli_net::throttle::Block;
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
pub struct Visitor(Arc<Inner>);

struct Inner {
    hub: Arc<Hub>,
    brought: Vec<Credential>,
    standing: RwLock<Standing>,
}

/// What a visitor's credentials come to just now.
#[derive(Clone, Debug, Default, PartialEq)]
struct Standing {
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
    lapsed: bool,
}

impl Standing {
    /// What these come to; a token that is none any more has lapsed.
    fn of(found: Vec<Option<Found>>) -> Self {
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
    /// Looks up what a request brings.
    ///
    /// # Errors
    /// 401 for a token that is none, 429 after too many of them, 503 when the store
    /// can't be asked about one.
    pub async fn enter(identity: &Identity, peer: &Peer, parts: &Parts) -> Result<Self, Problem> {
        let brought = match credential::brought(identity, peer, parts) {
            Ok(brought) => brought,
            Err(Fault::Guess(message)) => return Err(refuse(identity, peer, message)),
            Err(Fault::Store(error)) => return Err(error.into()),
        };
        let found = match credential::needs_store(&brought) {
            false => credential::without_store(&brought),
            true => {
                let (asked, now) = (brought.clone(), identity.now());
                let find = move |connection: &mut _| credential::find(connection, &asked, now);
                match identity.store.call(find).await {
                    Ok(found) => found,
                    Err(error) => {
                        let found = credential::without_store(&brought);
                        if found.iter().any(Option::is_none) {
                            return Err(error.into());
                        }
                        found
                    }
                }
            }
        };
        let standing = Standing::of(found);
        if standing.lapsed {
            let message = "there is no such token; perhaps it has expired or was revoked";
            return Err(refuse(identity, peer, message));
        }
        Ok(Self(Arc::new(Inner {
            hub: identity.hub.clone(),
            brought,
            standing: RwLock::new(standing),
        })))
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

fn refuse(identity: &Identity, peer: &Peer, message: &'static str) -> Problem {
    match identity
        .attempts
        .tokens
        .count(&Block::from(peer.remote.ip()))
    {
        Ok(()) => Problem::new(StatusCode::UNAUTHORIZED, message),
        Err(after) => Problem::too_many("tokens that are none", after),
    }
}

impl Visitor {
    /// Who sent a request.
    ///
    /// # Errors
    /// As [`Visitor::enter`] has them.
    pub async fn of(identity: &Identity, parts: &Parts) -> Result<Self, Problem> {
        if let Some(known) = parts.extensions.get::<Visitor>() {
            return Ok(known.clone());
        }
        let peer = parts.extensions.get::<Peer>().cloned();
        let peer = peer.ok_or_else(|| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the connection is unknown",
            )
        })?;
        Visitor::enter(identity, &peer, parts).await
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor
where
    Arc<Identity>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Visitor::of(&Arc::<Identity>::from_ref(state), parts).await
    }
}
