//! From a configuration to a running hub.

use crate::config::{CameraConfig, Config, ConfigError, from_argument};
use crate::gate::Gate;
use crate::renditions::JpegRendition;
use crate::server::{self, Site};
use ocelli_core::{Camera, Hub, HubError, Source};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Makes a hub of what was configured. Touches no network, but cameras with
/// `keep` begin to connect, so it needs a running runtime.
///
/// # Errors
/// Two cameras of one id, or an app that is not configured.
pub fn hub(config: &Config) -> Result<Arc<Hub>, ConfigError> {
    let hub = Arc::new(Hub::default());
    for app in &config.apps {
        hub.put_app(app.clone());
    }
    for camera in &config.cameras {
        let refuse =
            |error: HubError| ConfigError::new(format!("camera {:?}: {error}", camera.room));
        let id = hub.resolve(&camera.app, &camera.room).map_err(refuse)?;
        let upstream = |source: &Arc<dyn Source>| {
            let rendition = Arc::new(JpegRendition::new(camera.jpeg));
            hub.upstream(&id, source.clone(), Some(rendition))
        };
        let main = upstream(&camera.source);
        let sub = camera.substream.as_ref().map(upstream);
        let made = Camera::new(id, camera.name.clone(), camera.kind, main, sub, camera.keep);
        hub.add(made).map_err(refuse)?;
    }
    Ok(hub)
}

/// The cameras of the demo: a wall of running clocks.
const DEMO: [(&str, &str); 8] = [
    ("Front door", "front-door=pattern:?size=1280x720&fps=15"),
    (
        "Driveway",
        "driveway=pattern:?size=960x540&fps=10&tint=drive",
    ),
    ("Garden", "garden=pattern:?size=640x480&fps=10&tint=garden"),
    // By the way that ffmpeg cameras go: a child process, JPEG, a clock of its own.
    (
        "Workshop (ffmpeg)",
        "workshop=ffmpeg:lavfi:testsrc2=size=640x360:rate=10",
    ),
    (
        "3D printer",
        "printer=pattern:?size=640x360&fps=5&tint=printer",
    ),
    ("Bird box", "bird-box=pattern:?size=320x240&fps=8&tint=bird"),
    ("Stable", "stable=pattern:?size=640x360&fps=10&tint=stable"),
    (
        "Weather mast",
        "weather-mast=pattern:?size=640x360&fps=2&tint=mast",
    ),
];

/// The demo's cameras, for whoever starts the hub without any.
///
/// # Errors
/// None that a user could cause.
pub fn demo() -> Result<Vec<CameraConfig>, ConfigError> {
    let cameras = DEMO.iter().enumerate().map(|(index, (name, source))| {
        let mut camera = from_argument(source, index + 1)?;
        camera.name = (*name).to_owned();
        Ok(camera)
    });
    cameras.collect()
}

/// Says on standard error who can reach the hub and what to do next.
fn greet(address: SocketAddr, cameras: usize) {
    let mut words = String::new();
    if cameras == 0 {
        words.push_str(
            "No cameras yet. Name them like this: \
             ocelli serve rtsp://user:password@10.0.0.7/stream1\n",
        );
    }
    if address.ip().is_loopback() {
        let port = address.port();
        words.push_str(&format!(
            "Only this machine can open it. To open it to your network: --listen 0.0.0.0:{port}\n\
             (anybody on that network can then watch the cameras, without a password).\n"
        ));
    } else {
        words.push_str(&format!(
            "Anybody who reaches {address} can watch the cameras.\n"
        ));
    }
    // The cameras matter more than words that nobody takes.
    let _ = io::stderr().write_all(words.as_bytes());
}

/// Listens and serves until `shutdown` is ready.
///
/// # Errors
/// The address can't be listened on.
pub async fn serve(
    config: &Config,
    hub: Arc<Hub>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = TcpListener::bind(config.listen).await?;
    let address = listener.local_addr()?;
    let gate = Gate::new(&config.allowed_hosts, &config.allowed_origins);
    let site = Site::new(hub, gate);
    greet(address, config.cameras.len());
    if let Err(error) = writeln!(io::stdout(), "listening on http://{address}") {
        tracing::warn!(%address, %error, "listening, but can't say so on standard output");
    }
    server::run(listener, site, shutdown).await;
    Ok(())
}
