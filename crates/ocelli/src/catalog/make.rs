//! From a camera's configuration to a camera of the hub.

use super::service::Configured;
use crate::config::{CameraConfig, Config};
use ocelli_config::ConfigError;
use ocelli_core::{App, Camera, Hub, HubError, Renditions, Source};
use ocelli_media::renditions::{JpegRendition, Mpeg1Rendition};
use ocelli_media::sources::Address;
use std::sync::Arc;

/// Makes a camera for a hub, which is not in it yet.
///
/// # Errors
/// The hub does not know its app.
pub fn make(hub: &Hub, camera: &CameraConfig) -> Result<Camera, HubError> {
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
    // The main stream's own address would be a second session for the same pictures.
    let small = camera
        .substream
        .as_ref()
        .zip(camera.substream_address.as_ref());
    let small = small.filter(|(_, address)| **address != camera.address);
    let sub = small.map(|(source, address)| upstream(source, address));
    let name = camera.name.clone();
    Ok(Camera::new(id, name, camera.kind, main, sub, camera.keep))
}

/// Puts the apps and cameras of the configuration into a hub. Cameras with `keep` start to
/// connect, so it needs a running runtime.
///
/// # Errors
/// Two cameras of one id, or an app that is not configured.
pub fn put_configured(hub: &Hub, config: &Config) -> Result<(), ConfigError> {
    for app in &config.apps {
        hub.put_app(app.clone());
    }
    for camera in &config.cameras {
        let refuse =
            |error: HubError| ConfigError::new(format!("camera {:?}: {error}", camera.room));
        let made = make(hub, camera).map_err(refuse)?;
        hub.add(made).map_err(refuse)?;
    }
    Ok(())
}

impl Configured {
    /// What the configuration defined in a hub.
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
