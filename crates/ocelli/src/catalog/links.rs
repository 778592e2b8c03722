//! Play tokens for one camera, and links to a wall of chosen ones.

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

/// How long a play token may last, in s. Nothing ends it before.
const PLAY_TTL: RangeInclusive<u32> = 60..=24 * 3600;
/// How long one lasts when nobody says.
const USUAL_PLAY_TTL: u32 = 3600;
/// How long a wall link may last, in s.
const WALL_TTL: RangeInclusive<u32> = 60..=366 * 24 * 3600;
/// How long one lasts when nobody says.
const USUAL_WALL_TTL: u32 = 7 * 24 * 3600;
/// The most cameras of a wall link.
const MOST_CAMERAS: usize = 500;
/// The longest name.
const NAME_LIMIT: usize = 120;

/// A wall link to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWall {
    /// What it is for, in your words.
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    name: String,
    /// The ids of its cameras, as on the wall socket.
    #[schema(min_items = 1, max_items = 500)]
    cameras: BTreeSet<String>,
    /// How long it lasts, in seconds; a week by default.
    #[schema(minimum = 60, maximum = 31622400)]
    #[serde(default, deserialize_with = "whole")]
    ttl: Option<u32>,
}

/// Whether somebody may share the cameras of all apps that a wall was made for, or made
/// it themselves. Its apps count and not its cameras, which may all be gone.
fn reaches(grant: &Grant, maker: Option<&String>, wall: &Wall) -> bool {
    let own = maker.is_some() && wall.maker.as_ref() == maker;
    let mut apps = wall.apps.iter();
    own || (!wall.apps.is_empty() && apps.all(|app| grant.allows(SHARE, Some(app))))
}

/// A wall link that was made, and the one time that its token is known.
pub struct WallLink {
    /// The wall.
    pub wall: Wall,
    /// The token in the link. The store keeps a hash of it.
    pub token: String,
}

/// A play token that was made.
pub struct Play {
    /// The token itself.
    pub token: String,
    /// The camera that it opens.
    pub camera: CameraId,
    /// When it ends, in ms since the Unix epoch.
    pub expires: i64,
}

impl Catalog {
    /// When something ends that begins now and lasts `ttl` seconds.
    fn expires(&self, ttl: u32, range: &RangeInclusive<u32>) -> Result<i64, String> {
        if range.contains(&ttl) {
            return Ok(self.identity.now() + i64::from(ttl) * 1000);
        }
        Err(format!(
            "it takes {} to {} seconds",
            range.start(),
            range.end()
        ))
    }

    /// Makes a token by which anybody watches this one camera for `ttl` seconds, an hour by
    /// default.
    ///
    /// # Errors
    /// The time is out of range, or there is no such camera.
    pub async fn play_token(
        self: &Arc<Self>,
        (app, room): (String, String),
        ttl: Option<u32>,
    ) -> Result<Play, ChangeError> {
        let expires = self.expires(ttl.unwrap_or(USUAL_PLAY_TTL), &PLAY_TTL);
        let fault = |fault| ChangeError::Invalid(format!("ttl in the address: {fault}"));
        let expires = expires.map_err(fault)?;
        let identity = self.identity.clone();
        let find = move |connection: &mut rusqlite::Connection| {
            // Cameras come and go on the store's thread, so this is the one of that name.
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

    /// The wall links that are good, of cameras that this visitor may share, the oldest first.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn walls(&self, visitor: &Visitor) -> Result<Vec<Wall>, ChangeError> {
        let now = self.identity.now();
        let mut walls = self
            .read(move |connection| walls::all(connection, now))
            .await?;
        let (grant, maker) = (visitor.grant(), visitor.maker());
        walls.retain(|wall| reaches(&grant, maker.as_ref(), wall));
        Ok(walls)
    }

    /// Makes a link that opens a wall of just these cameras, to watch only.
    ///
    /// # Errors
    /// A field is wrong, or there is no such camera that this visitor may share.
    pub async fn add_wall(
        self: &Arc<Self>,
        new: NewWall,
        visitor: &Visitor,
    ) -> Result<WallLink, ChangeError> {
        let length = new.name.chars().count();
        if !(1..=NAME_LIMIT).contains(&length) || new.name.chars().any(is_control) {
            return Err(ChangeError::invalid("name", "it takes 1 to 120 characters"));
        }
        if !(1..=MOST_CAMERAS).contains(&new.cameras.len()) {
            return Err(ChangeError::invalid("cameras", "it takes 1 to 500 ids"));
        }
        let expires = self.expires(new.ttl.unwrap_or(USUAL_WALL_TTL), &WALL_TTL);
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
        self.make(move |_, connection| {
            walls::insert(connection, &wall, &hash)?;
            Ok(WallLink {
                wall,
                token: named.text(),
            })
        })
        .await
    }

    /// Revokes a wall link; whoever watches by it is cut off.
    ///
    /// # Errors
    /// There is none that this visitor may revoke.
    pub async fn revoke_wall(
        self: &Arc<Self>,
        id: String,
        visitor: &Visitor,
    ) -> Result<(), ChangeError> {
        let (grant, maker) = (visitor.grant(), visitor.maker());
        self.make(move |_, connection| {
            let wall = walls::by_id(connection, &id)?;
            let reached = wall.is_some_and(|wall| reaches(&grant, maker.as_ref(), &wall));
            match reached && walls::delete(connection, &id)? {
                true => Ok(()),
                false => Err(ChangeError::missing("there is no wall link of that id")),
            }
        })
        .await
    }
}
