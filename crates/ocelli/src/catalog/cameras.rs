//! Adds, changes and deletes cameras while the hub runs.

use super::build::build_camera;
use super::camera::{CameraChange, NewCamera};
use super::error::ChangeError;
use super::service::Catalog;
use super::settings::Settings;
use crate::config::CameraConfig;
use crate::store::cameras;
use ocelli_core::name::{DEFAULT_APP, split_id};
use ocelli_core::{Camera, CameraId, Hub};
use ocelli_media::sources::{REFUSED, rtsp};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

/// How long to wait for DNS when a camera is added.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

fn unknown_camera(camera: &str) -> ChangeError {
    ChangeError::missing(format!("there is no camera {camera:?}"))
}

fn deleted_camera(id: &CameraId) -> ChangeError {
    ChangeError::missing(format!("there is no camera {:?} any more", id.as_str()))
}

impl Catalog {
    /// Parses a camera id of either form.
    ///
    /// # Errors
    /// No camera can have this id.
    pub fn camera_id(&self, camera: &str) -> Result<CameraId, ChangeError> {
        let (app, room) = split_id(camera);
        self.hub()
            .resolve(app, room)
            .map_err(|_| unknown_camera(camera))
    }

    /// The camera of this id.
    ///
    /// # Errors
    /// The camera does not exist.
    pub fn camera(&self, id: &CameraId) -> Result<Arc<Camera>, ChangeError> {
        let found = self.hub().find(id.app(), id.room());
        found.ok_or_else(|| unknown_camera(id.as_str()))
    }

    /// The camera's configuration, if the configuration file defines it.
    pub fn configured_camera(&self, id: &CameraId) -> Option<&CameraConfig> {
        self.configured.cameras.get(id)
    }

    /// Checks that the configuration file does not define the camera.
    fn changeable_camera(&self, id: &CameraId) -> Result<(), ChangeError> {
        if self.configured_camera(id).is_none() {
            return Ok(());
        }
        Err(ChangeError::conflict(format!(
            "camera {id:?} is defined in the configuration file; change it there",
            id = id.as_str()
        )))
    }

    /// The stored settings of a camera, if any.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn settings(&self, id: &CameraId) -> Result<Option<Settings>, ChangeError> {
        let (app, room) = (id.app().to_owned(), id.room().to_owned());
        let find = move |connection: &mut _| cameras::find(connection, &app, &room);
        let Some(stored) = self.read(find).await? else {
            return Ok(None);
        };
        Ok(Settings::decrypt(&self.identity.store.cipher()?, &stored))
    }

    /// The settings of a camera that can be changed over HTTP.
    ///
    /// # Errors
    /// The camera does not exist, or the configuration file defines it.
    pub async fn changeable_settings(&self, id: &CameraId) -> Result<Settings, ChangeError> {
        self.changeable_camera(id)?;
        let stored = self.settings(id).await?;
        stored.ok_or_else(|| unknown_camera(id.as_str()))
    }

    /// Checks settings as far as possible without connecting: each address, and what its host name
    /// currently resolves to. Every connection checks this again.
    ///
    /// # Errors
    /// The message states what is wrong.
    pub async fn check_sources(&self, settings: &Settings) -> Result<(), ChangeError> {
        let opened = settings.build_config(DEFAULT_APP, "camera", self.policy.ssrf_guard);
        opened.map_err(|error| ChangeError::Invalid(error.to_string()))?;
        let addresses = [
            ("source", Some(&settings.source)),
            ("substream", settings.substream.as_ref()),
        ];
        for (field, address) in addresses {
            let Some(url) = address.and_then(|address| Url::parse(address).ok()) else {
                continue;
            };
            let host = url.host_str().unwrap_or_default();
            let port = url.port_or_known_default();
            let port = port.unwrap_or_else(|| rtsp::default_port(url.scheme()));
            let found = timeout(LOOKUP_TIMEOUT, self.policy.ssrf_guard.resolve(host, port)).await;
            // A host name that does not resolve now may do so later.
            if let Ok(Err(error)) = found
                && error.to_string() == REFUSED
            {
                return Err(ChangeError::invalid(field, error));
            }
        }
        Ok(())
    }

    /// Builds a camera for `hub` without adding it, and returns it with its configuration.
    ///
    /// # Errors
    /// A setting is invalid, or the hub has no such app.
    pub fn open(
        &self,
        hub: &Hub,
        (app, room): (&str, &str),
        settings: &Settings,
    ) -> Result<(Camera, CameraConfig), ChangeError> {
        let config = settings.build_config(app, room, self.policy.ssrf_guard);
        let config = config.map_err(|error| ChangeError::conflict(error.to_string()))?;
        let camera = build_camera(hub, &config);
        let camera = camera.map_err(|error| ChangeError::missing(error.to_string()))?;
        Ok((camera, config))
    }

    /// Adds a camera. Walls that show all cameras include it at once.
    ///
    /// # Errors
    /// A field is invalid, the app does not exist, the id is taken, or the limit of cameras is
    /// reached.
    pub async fn add_camera(
        self: &Arc<Self>,
        new: NewCamera,
    ) -> Result<(Arc<Camera>, Settings), ChangeError> {
        let id = self.hub().resolve(new.app()?, new.room()?);
        let id = id.map_err(|error| ChangeError::missing(format!("app in the body: {error}")))?;
        self.changeable_camera(&id)?;
        let settings = CameraChange::from(new).apply(&Settings::default())?;
        self.check_sources(&settings).await?;
        let row = settings.encrypt(&self.identity.store.cipher()?, id.app(), id.room())?;
        self.apply(move |catalog, connection| {
            let hub = catalog.hub();
            if hub.find(id.app(), id.room()).is_some() {
                let message = format!(
                    "camera {:?} already exists; choose another room",
                    id.as_str()
                );
                return Err(ChangeError::conflict(message));
            }
            let most = catalog.policy.max_added_cameras;
            if cameras::count(connection)? >= most {
                return Err(ChangeError::conflict(format!(
                    "{most} cameras were added over HTTP, as many as \
                     max_added_cameras in the configuration allows"
                )));
            }
            let transaction = connection.transaction()?;
            cameras::insert(&transaction, &row)?;
            let (camera, _) = catalog.open(hub, (id.app(), id.room()), &settings)?;
            transaction.commit()?;
            let added = hub.add(camera);
            let added = added.map_err(|error| ChangeError::conflict(error.to_string()))?;
            Ok((added, settings))
        })
        .await
    }

    /// Changes a camera. Its viewers stay connected and see the new stream.
    ///
    /// # Errors
    /// A field is invalid, the camera does not exist, the configuration file defines it, or it was
    /// changed in the meantime.
    pub async fn change_camera(
        self: &Arc<Self>,
        id: CameraId,
        change: CameraChange,
    ) -> Result<(Arc<Camera>, Settings), ChangeError> {
        let old = self.changeable_settings(&id).await?;
        let settings = change.apply(&old)?;
        self.check_sources(&settings).await?;
        let cipher = self.identity.store.cipher()?;
        let row = settings.encrypt(&cipher, id.app(), id.room())?;
        self.apply(move |catalog, connection| {
            let hub = catalog.hub();
            let known = hub.find(id.app(), id.room());
            let now = cameras::find(connection, id.app(), id.room())?;
            let now = now.and_then(|now| Settings::decrypt(&cipher, &now));
            let (Some(known), Some(now)) = (known, now) else {
                return Err(deleted_camera(&id));
            };
            if now != old {
                let message = "the camera was changed in the meantime; reload it and try again";
                return Err(ChangeError::conflict(message));
            }
            let transaction = connection.transaction()?;
            cameras::update(&transaction, &row)?;
            let renamed = Settings {
                name: old.name.clone(),
                ..settings.clone()
            };
            if renamed == old {
                transaction.commit()?;
                let name = settings.name.clone();
                hub.rename(&known, name.unwrap_or_else(|| id.room().to_owned()));
                return Ok((known, settings));
            }
            let (camera, _) = catalog.open(hub, (id.app(), id.room()), &settings)?;
            transaction.commit()?;
            let replaced = hub.replace(camera).ok_or_else(|| deleted_camera(&id))?;
            Ok((replaced, settings))
        })
        .await
    }

    /// Deletes a camera and ends its connections and streams.
    ///
    /// # Errors
    /// The camera does not exist, or the configuration file defines it.
    pub async fn delete_camera(self: &Arc<Self>, id: CameraId) -> Result<(), ChangeError> {
        self.changeable_camera(&id)?;
        // A camera that could not be shown exists only in the store.
        self.apply(move |catalog, connection| {
            if !cameras::delete(connection, &id)? {
                return Err(unknown_camera(id.as_str()));
            }
            catalog.hub().remove(&id);
            Ok(())
        })
        .await
    }
}
