//! Stream keys of devices.

use super::error::ChangeError;
use super::service::Catalog;
use crate::auth::{new_id, new_stream_key};
use crate::ingest::is_identity;
use crate::store::keys::{self, StreamKey};
use ocelli_core::text::has_secret;
use ocelli_core::{CameraId, HubError};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The prefix of a default identity; the end of the key follows.
const IDENTITY: &str = "wscam-";

/// A stream key to create.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewStreamKey)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKey {
    /// The camera's room, in the short or the full form.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    room: String,
    /// The device's identity; by default `wscam-` and the key's last 4 characters.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    identity: Option<String>,
}

/// A new key with its secret, which is returned only here.
pub struct KeyWithSecret {
    /// The key.
    pub key: StreamKey,
    /// The secret. The store keeps only its hash.
    pub secret: String,
    /// The camera that the key belongs to.
    pub camera: CameraId,
}

impl Catalog {
    /// Creates a key and its camera.
    ///
    /// # Errors
    /// A field is invalid, the app does not exist, or the room has a configured source.
    pub async fn add_key(
        self: &Arc<Self>,
        app: String,
        new: NewKey,
    ) -> Result<KeyWithSecret, ChangeError> {
        let camera = self.hub().resolve(&app, &new.room);
        let camera = camera.map_err(|error| match error {
            HubError::UnknownApp(_) => ChangeError::missing(error.to_string()),
            _ => ChangeError::invalid("room", error),
        })?;
        if has_secret(&new.room) {
            let fault = "it looks like a key, and room names are public; choose another name";
            return Err(ChangeError::invalid("room", fault));
        }
        if new
            .identity
            .as_deref()
            .is_some_and(|name| !is_identity(name))
        {
            let fault = "it must be 1 to 120 of A-Z, a-z, 0-9, '.', '_' and '-', and must not \
                         look like a key";
            return Err(ChangeError::invalid("identity", fault));
        }
        let secret = new_stream_key();
        let hash = self.identity.store.key()?.hash(&secret);
        let identity = new.identity;
        let key = StreamKey {
            id: new_id("wsi"),
            app,
            room: camera.room().to_owned(),
            identity: identity
                .unwrap_or_else(|| format!("{IDENTITY}{}", &secret[secret.len() - 4..])),
            created: self.identity.now(),
        };
        self.apply(move |catalog, connection| {
            let taken = |error: HubError| match error {
                HubError::Taken(_) => ChangeError::conflict(format!(
                    "room {:?} already belongs to a camera in the configuration file; choose another room",
                    camera.full_room()
                )),
                error => ChangeError::missing(error.to_string()),
            };
            // The app may have been deleted since the first check.
            if catalog.hub().app(&key.app).is_none() {
                return Err(taken(HubError::UnknownApp(key.app)));
            }
            let transaction = connection.transaction()?;
            keys::insert(&transaction, &key, &hash)?;
            catalog.ingest.add_source(&camera).map_err(taken)?;
            transaction.commit()?;
            Ok(KeyWithSecret {
                key,
                secret,
                camera,
            })
        })
        .await
    }

    /// One page of an app's keys, oldest first, and their total number.
    ///
    /// # Errors
    /// The app does not exist, or the store can't be read.
    pub async fn keys(
        &self,
        app: String,
        limit: usize,
        offset: usize,
    ) -> Result<(Vec<StreamKey>, usize), ChangeError> {
        self.app(&app)?;
        let read = move |connection: &mut _| keys::page(connection, &app, limit, offset);
        self.read(read).await
    }

    /// Revokes a key and disconnects its device with close code 4401.
    ///
    /// # Errors
    /// The app does not exist or has no such key.
    pub async fn revoke_key(self: &Arc<Self>, app: String, id: String) -> Result<(), ChangeError> {
        self.app(&app)?;
        self.apply(move |catalog, connection| {
            let revoked = catalog.ingest.revoke(connection, &id, Some(&app))?;
            let none = || ChangeError::missing("there is no key with this id in this app");
            revoked.map(drop).ok_or_else(none)
        })
        .await
    }
}
