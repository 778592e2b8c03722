//! Apps, the namespaces of cameras.

use super::error::ChangeError;
use super::limits::LimitsChange;
use super::service::Catalog;
use crate::store::apps;
use ocelli_core::name::{DEFAULT_APP, check_app, check_room};
use ocelli_core::{App, Hub, IngestLimits};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A new app.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewApp {
    /// 3 to 32 characters of a-z, 0-9 and '-', without '-' at either end.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$")]
    name: String,
    /// The prefix of its rooms' full names, unique among apps; the app's name by default.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    room_prefix: Option<String>,
    /// Whether anonymous viewers may watch its cameras; true by default.
    public_playback: Option<bool>,
    /// Limits for devices that push.
    #[serde(alias = "ws_ingest")]
    ws_ingest: Option<LimitsChange>,
}

/// A change of an app. Omitted fields keep their values.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppChange {
    /// Part of the cameras' names: it can change only while the app has no cameras, and never for
    /// `live`.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    room_prefix: Option<String>,
    /// Whether anonymous viewers may watch its cameras.
    public_playback: Option<bool>,
    /// Limits for devices that push; applied to connected devices at once.
    #[serde(alias = "ws_ingest")]
    ws_ingest: Option<LimitsChange>,
}

/// Validates a change of limits and applies it.
fn changed_limits(
    change: Option<&LimitsChange>,
    limits: IngestLimits,
) -> Result<IngestLimits, ChangeError> {
    let Some(change) = change else {
        return Ok(limits);
    };
    let checked = change.check();
    checked.map_err(|error| ChangeError::invalid("wsIngest", error))?;
    Ok(change.apply(limits))
}

fn check_prefix(prefix: Option<&String>) -> Result<(), ChangeError> {
    let checked = prefix.map_or(Ok(()), |prefix| check_room(prefix));
    checked.map_err(|error| ChangeError::invalid("roomPrefix", error))
}

/// Another app that has this app's prefix, if there is one.
pub fn prefix_owner(hub: &Hub, app: &App) -> Option<Arc<App>> {
    let mut others = hub
        .apps()
        .into_iter()
        .filter(|other| other.name != app.name);
    others.find(|other| other.room_prefix == app.room_prefix)
}

/// Checks that no other app has this prefix.
fn prefix_is_free(hub: &Hub, app: &App) -> Result<(), ChangeError> {
    match prefix_owner(hub, app) {
        None => Ok(()),
        Some(other) => Err(ChangeError::conflict(format!(
            "roomPrefix {:?} already belongs to app {:?}",
            app.room_prefix, other.name
        ))),
    }
}

impl Catalog {
    /// Whether the configuration file defines the app.
    pub fn is_configured_app(&self, name: &str) -> bool {
        self.configured.apps.contains(name)
    }

    /// The app of this name.
    ///
    /// # Errors
    /// The app does not exist.
    pub fn app(&self, name: &str) -> Result<App, ChangeError> {
        let app = self.hub().app(name).map(Arc::unwrap_or_clone);
        app.ok_or_else(|| ChangeError::missing(format!("there is no app {name:?}")))
    }

    /// The number of cameras of an app.
    pub fn cameras_of(&self, app: &str) -> usize {
        let cameras = self.hub().cameras();
        cameras.iter().filter(|c| c.id().app() == app).count()
    }

    /// The app of this name, if it can be changed over HTTP.
    fn changeable_app(&self, name: &str) -> Result<App, ChangeError> {
        let app = self.app(name)?;
        if self.is_configured_app(name) {
            return Err(ChangeError::conflict(format!(
                "app {name:?} is defined in the configuration file as [app.{name}]; change it there"
            )));
        }
        Ok(app)
    }

    /// Adds an app.
    ///
    /// # Errors
    /// A field is invalid, or the name or the prefix is taken.
    pub async fn add_app(self: &Arc<Self>, new: NewApp) -> Result<App, ChangeError> {
        check_app(&new.name).map_err(|error| ChangeError::invalid("name", error))?;
        check_prefix(new.room_prefix.as_ref())?;
        let app = App {
            room_prefix: new.room_prefix.unwrap_or_else(|| new.name.clone()),
            name: new.name,
            public_playback: new.public_playback.unwrap_or(true),
            ingest: changed_limits(new.ws_ingest.as_ref(), IngestLimits::default())?,
        };
        self.apply(move |catalog, connection| {
            let hub = catalog.hub();
            if hub.app(&app.name).is_some() {
                let message = format!("app {:?} already exists; choose another name", app.name);
                return Err(ChangeError::conflict(message));
            }
            prefix_is_free(hub, &app)?;
            apps::insert(connection, &app)?;
            hub.put_app(app.clone());
            Ok(app)
        })
        .await
    }

    /// Changes an app. Current viewers are affected at once.
    ///
    /// # Errors
    /// A field is invalid, the app does not exist or is defined in the configuration file, or the
    /// prefix can't be used.
    pub async fn change_app(
        self: &Arc<Self>,
        name: String,
        change: AppChange,
    ) -> Result<App, ChangeError> {
        check_prefix(change.room_prefix.as_ref())?;
        changed_limits(change.ws_ingest.as_ref(), IngestLimits::default())?;
        self.apply(move |catalog, connection| {
            let mut app = catalog.changeable_app(&name)?;
            if let Some(prefix) = change.room_prefix
                && prefix != app.room_prefix
            {
                // Configured cameras may be added to `live` at any start.
                if name == DEFAULT_APP || catalog.cameras_of(&name) > 0 {
                    return Err(ChangeError::conflict(format!(
                        "roomPrefix of app {name:?} can't change, because it is part of its \
                         cameras' names"
                    )));
                }
                app.room_prefix = prefix;
                prefix_is_free(catalog.hub(), &app)?;
            }
            app.public_playback = change.public_playback.unwrap_or(app.public_playback);
            if let Some(limits) = &change.ws_ingest {
                app.ingest = limits.apply(app.ingest);
            }
            apps::update(connection, &app)?;
            catalog.hub().put_app(app.clone());
            Ok(app)
        })
        .await
    }

    /// Deletes an app and its tokens. `live` can't be deleted.
    ///
    /// # Errors
    /// The app does not exist, is `live`, is defined in the configuration file, or has cameras.
    pub async fn delete_app(self: &Arc<Self>, name: String) -> Result<(), ChangeError> {
        self.apply(move |catalog, connection| {
            if name == DEFAULT_APP {
                let message = format!("app {DEFAULT_APP:?} can't be deleted; it always exists");
                return Err(ChangeError::conflict(message));
            }
            catalog.changeable_app(&name)?;
            if catalog.cameras_of(&name) > 0 {
                let message = format!("app {name:?} has cameras; delete them first");
                return Err(ChangeError::conflict(message));
            }
            apps::delete(connection, &name)?;
            catalog.hub().remove_app(&name);
            Ok(())
        })
        .await
    }
}
