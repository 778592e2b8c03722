//! Builds the hub's cameras from their configuration.

use super::service::Configured;
use crate::config::{CameraConfig, Config};
use ocelli_config::ConfigError;
use ocelli_core::{App, Camera, Hub, HubError, Renditions, Source};
use ocelli_media::renditions::{JpegRendition, Mpeg1Rendition};
use ocelli_media::sources::Address;
use std::sync::Arc;

/// Builds a camera for a hub, without adding it.
///
/// # Errors
/// The hub has no such app.
pub fn build_camera(hub: &Hub, camera: &CameraConfig) -> Result<Camera, HubError> {
    let id = hub.resolve(&camera.app, &camera.room)?;
    let upstream = |source: &Arc<dyn Source>, address: &Address| {
        let renditions = Renditions {
            jpeg: Some(Arc::new(JpegRendition::new(camera.jpeg))),
            mpeg1: Some(Arc::new(Mpeg1Rendition::new(camera.mpeg1))),
        };
        match address.endpoint() {
            Some(endpoint) => hub.upstream_at(&id, endpoint, source.clone(), renditions),
            None => hub.upstream(&id, source.clone(), renditions),
        }
    };
    let main = upstream(&camera.source, &camera.address);
    // A substream at the main stream's address would only open a second session.
    let small = camera
        .substream
        .as_ref()
        .zip(camera.substream_address.as_ref());
    let small = small.filter(|(_, address)| **address != camera.address);
    let sub = small.map(|(source, address)| upstream(source, address));
    let name = camera.name.clone();
    Ok(Camera::new(id, name, camera.kind, main, sub, camera.keep))
}

/// Adds the apps and cameras of the configuration to a hub. Needs a running tokio runtime,
/// because cameras with `keep` start to connect.
///
/// # Errors
/// Two cameras have the same id, or a camera's app is not configured.
pub fn put_configured(hub: &Hub, config: &Config) -> Result<(), ConfigError> {
    for app in &config.apps {
        hub.put_app(app.clone());
    }
    for camera in &config.cameras {
        let refuse =
            |error: HubError| ConfigError::new(format!("camera {:?}: {error}", camera.room));
        let made = build_camera(hub, camera).map_err(refuse)?;
        hub.add(made).map_err(refuse)?;
    }
    Ok(())
}

impl Configured {
    /// Collects what the configuration defined in a hub.
    pub fn of(apps: &[App], cameras: Vec<CameraConfig>, hub: &Hub) -> Self {
        let place = |camera: CameraConfig| {
            let id = hub.resolve(&camera.app, &camera.room).ok()?;
            Some((id, camera))
        };
        Self {
            apps: apps.iter().map(|app| app.name.clone()).collect(),
            cameras: cameras.into_iter().filter_map(place).collect(),
        }
    }
}
