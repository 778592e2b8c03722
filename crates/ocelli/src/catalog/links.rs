//! Play tokens for one camera, and links to a wall of chosen cameras.

use super::error::ChangeError;
use super::service::Catalog;
use crate::auth::{Grant, NamedSecret, PlayToken};
use crate::store::walls::{self, SHARE, Wall};
use crate::store::{StoreError, incarnation};
use crate::visitor::Visitor;
use ocelli_config::number::whole;
use ocelli_core::CameraId;
use ocelli_core::name::split_id;
use ocelli_core::text::is_control;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use utoipa::ToSchema;

/// The lifetime range of a play token, in s. A play token can't be revoked.
const PLAY_TTL: RangeInclusive<u32> = 60..=24 * 3600;
/// The default lifetime, in s.
const DEFAULT_PLAY_TTL: u32 = 3600;
/// The lifetime range of a wall link, in s.
const WALL_TTL: RangeInclusive<u32> = 60..=366 * 24 * 3600;
/// The default lifetime, in s.
const DEFAULT_WALL_TTL: u32 = 7 * 24 * 3600;
/// Maximum number of cameras of a wall link.
const MAX_CAMERAS: usize = 500;
/// Maximum length of a name, in characters.
const NAME_LIMIT: usize = 120;

/// A wall link to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWall {
    /// A name for the link.
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    name: String,
    /// The ids of its cameras, as on the wall socket.
    #[schema(min_items = 1, max_items = 500)]
    cameras: BTreeSet<String>,
    /// Lifetime in seconds; a week by default.
    #[schema(minimum = 60, maximum = 31622400)]
    #[serde(default, deserialize_with = "whole")]
    ttl: Option<u32>,
}

/// Whether a client made the wall or may share the cameras of all apps that it was made for.
/// This checks the apps, not the cameras, because the cameras may all have been deleted.
fn may_manage(grant: &Grant, maker: Option<&String>, wall: &Wall) -> bool {
    let own = maker.is_some() && wall.maker.as_ref() == maker;
    let mut apps = wall.apps.iter();
    own || (!wall.apps.is_empty() && apps.all(|app| grant.allows(SHARE, Some(app))))
}

/// A new wall link with its token, which is returned only here.
pub struct WallLink {
    /// The wall.
    pub wall: Wall,
    /// The token in the link. The store keeps only its hash.
    pub token: String,
}

/// A new play token.
pub struct Play {
    /// The token itself.
    pub token: String,
    /// The camera that it opens.
    pub camera: CameraId,
    /// Expiry in ms since the Unix epoch.
    pub expires: i64,
}

impl Catalog {
    /// The expiry of something that starts now and lasts `ttl` seconds.
    fn expires(&self, ttl: u32, range: &RangeInclusive<u32>) -> Result<i64, String> {
        if range.contains(&ttl) {
            return Ok(self.identity.now() + i64::from(ttl) * 1000);
        }
        Err(format!(
            "it must be {} to {} seconds",
            range.start(),
            range.end()
        ))
    }

    /// Creates a token that lets its holder watch one camera for `ttl` seconds, an hour by default.
    ///
    /// # Errors
    /// The time is out of range, or the camera does not exist.
    pub async fn play_token(
        self: &Arc<Self>,
        (app, room): (String, String),
        ttl: Option<u32>,
    ) -> Result<Play, ChangeError> {
        let expires = self.expires(ttl.unwrap_or(DEFAULT_PLAY_TTL), &PLAY_TTL);
        let fault = |fault| ChangeError::Invalid(format!("ttl in the URL: {fault}"));
        let expires = expires.map_err(fault)?;
        let identity = self.identity.clone();
        let find = move |connection: &mut rusqlite::Connection| {
            // Cameras change only on the store's thread, so this is the current one of that name.
            let camera = identity.hub.find(&app, &room).ok_or_else(|| {
                StoreError::Missing(format!("there is no camera {room:?} in app {app:?}"))
            })?;
            let id = camera.id().clone();
            let incarnation = incarnation::of(connection, &id)?;
            Ok((id, incarnation))
        };
        let (camera, incarnation) = self.read(find).await?;
        let cameras = BTreeMap::from([(camera.as_str().to_owned(), incarnation)]);
        let token = PlayToken::new(cameras, expires).sign(self.identity.store.key()?);
        Ok(Play {
            token,
            camera,
            expires,
        })
    }

    /// The valid wall links of cameras that the visitor may share, oldest first.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn walls(&self, visitor: &Visitor) -> Result<Vec<Wall>, ChangeError> {
        let now = self.identity.now();
        let mut walls = self
            .read(move |connection| walls::all(connection, now))
            .await?;
        let (grant, maker) = (visitor.grant(), visitor.maker());
        walls.retain(|wall| may_manage(&grant, maker.as_ref(), wall));
        Ok(walls)
    }

    /// Creates a link to a read-only wall of exactly these cameras.
    ///
    /// # Errors
    /// A field is invalid, or the visitor may share no such camera.
    pub async fn add_wall(
        self: &Arc<Self>,
        new: NewWall,
        visitor: &Visitor,
    ) -> Result<WallLink, ChangeError> {
        let length = new.name.chars().count();
        if !(1..=NAME_LIMIT).contains(&length) || new.name.chars().any(is_control) {
            return Err(ChangeError::invalid(
                "name",
                "it must have 1 to 120 characters",
            ));
        }
        if !(1..=MAX_CAMERAS).contains(&new.cameras.len()) {
            return Err(ChangeError::invalid("cameras", "it must have 1 to 500 ids"));
        }
        let expires = self.expires(new.ttl.unwrap_or(DEFAULT_WALL_TTL), &WALL_TTL);
        let expires = expires.map_err(|fault| ChangeError::invalid("ttl", fault))?;
        let grant = visitor.grant();
        let mut cameras = BTreeSet::new();
        for id in &new.cameras {
            let camera = self.hub().find_by_id(id);
            let camera = camera.filter(|camera| grant.allows(SHARE, Some(camera.id().app())));
            let camera = camera.ok_or_else(|| {
                let message = format!("cameras in the body: there is no camera {id:?} to share");
                ChangeError::missing(message)
            })?;
            cameras.insert(camera.id().as_str().to_owned());
        }
        let named = NamedSecret::new("wall");
        let wall = Wall {
            id: named.id.clone(),
            name: new.name,
            maker: visitor.maker(),
            apps: cameras.iter().map(|id| split_id(id).0.to_owned()).collect(),
            cameras,
            created: self.identity.now(),
            expires,
        };
        let hash = self.identity.store.key()?.hash(&named.secret);
        self.apply(move |_, connection| {
            walls::insert(connection, &wall, &hash)?;
            Ok(WallLink {
                wall,
                token: named.text(),
            })
        })
        .await
    }

    /// Revokes a wall link and disconnects its viewers.
    ///
    /// # Errors
    /// The visitor may revoke no such link.
    pub async fn revoke_wall(
        self: &Arc<Self>,
        id: String,
        visitor: &Visitor,
    ) -> Result<(), ChangeError> {
        let (grant, maker) = (visitor.grant(), visitor.maker());
        self.apply(move |_, connection| {
            let wall = walls::by_id(connection, &id)?;
            let reached = wall.is_some_and(|wall| may_manage(&grant, maker.as_ref(), &wall));
            match reached && walls::delete(connection, &id)? {
                true => Ok(()),
                false => Err(ChangeError::missing("there is no wall link with this id")),
            }
        })
        .await
    }
}
