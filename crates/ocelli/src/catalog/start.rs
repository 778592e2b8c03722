//! Loads the store's contents into the hub at start.

use super::apps::prefix_owner;
use super::service::Catalog;
use super::settings::Settings;
use crate::store::cameras::{self, StoredCamera};
use crate::store::keys::{self, StreamKey};
use crate::store::{Cipher, Store, StoreError, apps, streams};
use ocelli_core::App;

/// The apps, cameras and keys that the last run saved in the store.
#[derive(Default)]
pub struct Saved {
    apps: Vec<App>,
    cameras: Vec<StoredCamera>,
    keys: Vec<StreamKey>,
}

impl Saved {
    /// Reads the store, and ends the streams that an interrupted run left open. What was read
    /// before an error is kept: a private app stays private even if its cameras can't be read.
    ///
    /// # Errors
    /// The store can't be used.
    pub async fn read(&mut self, store: &Store, now: i64) -> Result<(), StoreError> {
        self.apps = store.call(|connection| apps::all(connection)).await?;
        self.cameras = store.call(|connection| cameras::all(connection)).await?;
        let ended = store.call(move |connection| streams::end_all(connection, now));
        let ended = ended.await?;
        if ended > 0 {
            tracing::info!("ended {ended} streams that the last run left open");
        }
        self.keys = store.call(|connection| keys::all(connection)).await?;
        Ok(())
    }
}

impl Catalog {
    /// Adds what the last run saved to the hub, after what the configuration defines. Items that
    /// can't be shown are skipped but stay in the store. Needs a running tokio runtime.
    pub fn restore(&self, saved: Saved) {
        for app in saved.apps {
            self.restore_app(app);
        }
        if !saved.cameras.is_empty() {
            match self.identity.store.cipher() {
                Ok(cipher) => saved
                    .cameras
                    .iter()
                    .for_each(|stored| self.restore_camera(&cipher, stored)),
                Err(error) => {
                    tracing::error!("cameras that were added over HTTP are skipped: {error}");
                }
            }
        }
        self.ingest.restore(&saved.keys);
    }

    fn restore_app(&self, app: App) {
        if self.is_configured_app(&app.name) {
            return;
        }
        match prefix_owner(self.hub(), &app) {
            Some(other) => tracing::error!(
                "app {:?} is skipped: its roomPrefix {:?} belongs to app {:?} of the configuration",
                app.name,
                app.room_prefix,
                other.name
            ),
            None => self.hub().put_app(app),
        }
    }

    fn restore_camera(&self, cipher: &Cipher, stored: &StoredCamera) {
        if let Err(reason) = self.try_restore_camera(cipher, stored) {
            let StoredCamera { app, room, .. } = stored;
            tracing::error!(
                "camera {room:?} of app {app:?}, added over HTTP, is skipped: {reason}"
            );
        }
    }

    fn try_restore_camera(&self, cipher: &Cipher, stored: &StoredCamera) -> Result<(), String> {
        let Some(settings) = Settings::decrypt(cipher, stored) else {
            return Err("the key in the data directory can't decrypt its settings".to_owned());
        };
        let hub = self.hub();
        let id = hub.resolve(&stored.app, &stored.room);
        if id.as_ref().is_ok_and(|id| id.room() != stored.room) {
            return Err("its room is the full name of another camera; add it again".to_owned());
        }
        if id.is_ok_and(|id| self.configured_camera(&id).is_some()) {
            return Err("the configuration defines a camera with this id".to_owned());
        }
        let opened = self.open(hub, (&stored.app, &stored.room), &settings);
        let (camera, _) = opened.map_err(|error| error.to_string())?;
        hub.add(camera).map_err(|error| error.to_string())?;
        Ok(())
    }
}
