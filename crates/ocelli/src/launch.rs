//! From a configuration to a running hub.

use crate::added;
use crate::auth::{Key, new_code};
use crate::config::{CameraConfig, Config, ConfigError, from_argument};
use crate::gate::Gate;
use crate::gate::own_addresses;
use crate::log;
use crate::renditions::JpegRendition;
use crate::server;
use crate::site::Site;
use crate::sources::Fence;
use crate::store::{self, Store, StoreError, codes, users};
use crate::tls::TlsError;
use crate::tls::authority::Names;
use crate::tls::keep::{Keeper, Mode};
use crate::ui;
use ocelli_core::{Camera, Hub, HubError, Source};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
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
        let made = make(&hub, camera).map_err(refuse)?;
        hub.add(made).map_err(refuse)?;
    }
    Ok(hub)
}

/// Makes a camera for a hub, which is not in it yet. With `keep` it begins to
/// connect, so that needs a running runtime.
///
/// # Errors
/// The hub does not know its app.
pub fn make(hub: &Hub, camera: &CameraConfig) -> Result<Camera, HubError> {
    let id = hub.resolve(&camera.app, &camera.room)?;
    let upstream = |source: &Arc<dyn Source>| {
        let rendition = Arc::new(JpegRendition::new(camera.jpeg));
        hub.upstream(&id, source.clone(), Some(rendition))
    };
    let main = upstream(&camera.source);
    let sub = camera.substream.as_ref().map(upstream);
    let name = camera.name.clone();
    Ok(Camera::new(id, name, camera.kind, main, sub, camera.keep))
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
fn greet(address: SocketAddr, cameras: usize, tls: &Mode) {
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
    if let Mode::Local(_) = tls {
        let port = address.port();
        words.push_str(&format!(
            "Devices trust it once they know its certificate authority: open \
             http://<this machine>:{port}/ca on them.\n"
        ));
    }
    log::say(&words);
}

/// What addresses begin with for the person who started the hub, which listens there.
fn local_address(site: &Site, listen: SocketAddr) -> String {
    if let Some(url) = site.gate.public() {
        return url.origin().to_owned();
    }
    let scheme = site.scheme();
    match listen.ip().is_unspecified() {
        true => format!("{scheme}://localhost:{}", listen.port()),
        false => format!("{scheme}://{listen}"),
    }
}

/// Says on standard error by which link the first user is made, if there is none yet.
/// It goes nowhere else: whoever reads it can take the hub over.
async fn invite(site: &Site, listen: SocketAddr) -> Result<(), StoreError> {
    if site.admin.is_some() {
        return Ok(());
    }
    let (key, now) = (site.store.key()?.clone(), site.now());
    let make = move |connection: &mut rusqlite::Connection| {
        if users::any(connection)? {
            return Ok(None);
        }
        make_code(connection, &key, now).map(Some)
    };
    if let Some(code) = site.store.call(make).await? {
        let words = format!(
            "No user yet. Within 10 minutes, choose a password here:\n  {}\n",
            sign_in_link(&local_address(site, listen), &code)
        );
        log::say(&words);
    }
    Ok(())
}

/// A one-time code that makes an administrator, in place of the last one.
///
/// # Errors
/// The file can't be written.
pub fn make_code(
    connection: &mut rusqlite::Connection,
    key: &Key,
    now: i64,
) -> Result<String, StoreError> {
    let code = new_code();
    codes::put(connection, &key.hash(&code), None, now + codes::GOOD_FOR)?;
    Ok(code)
}

/// The link by which a password is set. The code is in its fragment, which browsers
/// send to nobody.
pub fn sign_in_link(address: &str, code: &str) -> String {
    format!("{address}/sign-in#code={code}")
}

/// The data directory: the one that was named, or the user's own.
///
/// # Errors
/// None was named, and the user has no home.
pub fn data_directory(named: Option<&Path>) -> Result<PathBuf, StoreError> {
    let found = named.map(Path::to_owned);
    found
        .or_else(|| store::default_directory(|name| std::env::var_os(name)))
        .ok_or_else(|| {
            let message = "there is no home directory to keep things in; name one with --data DIR";
            StoreError::Unusable(message.to_owned())
        })
}

/// Opens the store of a data directory and puts its apps and cameras into the hub.
async fn open_store(site: &mut Site, data: Option<&Path>) -> Result<(), StoreError> {
    let data = data_directory(data)?;
    site.store = Store::open(&data)?;
    let fault = |error| StoreError::Unusable(format!("{} can't be used: {error}", data.display()));
    put_apps(site).await.map_err(fault)?;
    added::load(site).await.map_err(fault)
}

/// Puts the store's apps into the hub. What the configuration says of an app goes
/// before what the store says.
async fn put_apps(site: &Site) -> Result<(), StoreError> {
    let kept = site
        .store
        .call(|connection| store::apps::all(connection))
        .await?;
    for app in kept {
        if site.configured_apps.contains(&app.name) {
            continue;
        }
        let apps = site.hub.apps();
        let mut others = apps.iter().filter(|other| other.name != app.name);
        if let Some(other) = others.find(|other| other.room_prefix == app.room_prefix) {
            tracing::error!(
                "app {:?} is left out: its roomPrefix {:?} belongs to app {:?} of the configuration",
                app.name,
                app.room_prefix,
                other.name
            );
            continue;
        }
        site.hub.put_app(app);
    }
    Ok(())
}

/// Why the hub does not start.
#[derive(Debug)]
pub enum LaunchError {
    /// The address can't be listened on.
    Listen(SocketAddr, io::Error),
    /// There is no TLS, which was asked for.
    Tls(TlsError),
}

impl std::fmt::Display for LaunchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LaunchError::Listen(address, error) => write!(f, "can't listen on {address}: {error}"),
            LaunchError::Tls(error) => write!(f, "can't serve by TLS: {error}"),
        }
    }
}

impl std::error::Error for LaunchError {}

/// Prepares TLS as it was configured.
fn prepare_tls(site: &mut Site, config: &Config) -> Result<Option<Keeper>, TlsError> {
    let keeper = match &config.tls {
        Mode::Off => return Ok(None),
        Mode::Files(files) => Keeper::of_files(files.clone())?,
        Mode::Local(_) => {
            let data = data_directory(config.data.as_deref())
                .map_err(|error| TlsError::new(error.to_string()))?;
            let mut lasting = Names::default();
            let names = site.gate.names().iter();
            names.for_each(|name| lasting.add(name));
            lasting.add_address(config.listen.ip());
            let (keeper, authority) =
                Keeper::of_authority(&data, lasting, &own_addresses(), SystemTime::now())?;
            site.authority = Some(authority);
            keeper
        }
    };
    site.tls = Some(keeper.server().clone());
    Ok(Some(keeper))
}

/// Listens and serves until `shutdown` is ready.
///
/// # Errors
/// The address can't be listened on, or TLS was asked for and can't be had.
pub async fn serve(
    config: Config,
    hub: Arc<Hub>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), LaunchError> {
    let listening = |error| LaunchError::Listen(config.listen, error);
    let listener = TcpListener::bind(config.listen).await.map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    let mut hosts = config.allowed_hosts.clone();
    if let Mode::Local(names) = &config.tls {
        hosts.extend_from_slice(names);
    }
    let gate = Gate::new(&hosts, &config.allowed_origins);
    let gate = gate.found_at(config.public_url.clone());
    let mut site = Site::new(hub, gate);
    site.proxies = config.trusted_proxies.clone();
    site.framing = ui::framing(&config.frame_ancestors);
    let keeper = prepare_tls(&mut site, &config).map_err(LaunchError::Tls)?;
    site.configured_apps = config.apps.iter().map(|app| app.name.clone()).collect();
    let place = |camera: CameraConfig| {
        let id = site.hub.resolve(&camera.app, &camera.room).ok()?;
        Some((id, camera))
    };
    site.configured_cameras = config.cameras.into_iter().filter_map(place).collect();
    site.fence = match config.allow_local_sources {
        true => Fence::lifted(),
        false => Fence::new(address.port()),
    };
    site.max_added_cameras = config.max_added_cameras;
    site.admin = config.admin;
    site.limit(config.limits);
    site.metrics = config.metrics;
    if let Err(error) = open_store(&mut site, config.data.as_deref()).await {
        tracing::error!(
            "{error}. The cameras of the configuration are shown all the same, in app \"live\" \
             to anybody unless [app.live] in it says otherwise; tokens and changes of apps wait \
             until this is mended and the hub started anew"
        );
        // Nothing may be changed on top of what can't be read.
        site.store = Store::closed(&error.to_string());
    }
    greet(address, site.hub.cameras().len(), &config.tls);
    if site.store.key().is_ok()
        && let Err(error) = invite(&site, address).await
    {
        tracing::error!("the link for the first user can't be made: {error}");
    }
    let scheme = site.scheme();
    if let Err(error) = writeln!(io::stdout(), "listening on {scheme}://{address}") {
        tracing::warn!(%address, %error, "listening, but can't say so on standard output");
    }
    let keeping = keeper.map(|keeper| tokio::spawn(keeper.run()));
    server::run(listener, Arc::new(site), shutdown).await;
    if let Some(keeping) = keeping {
        keeping.abort();
    }
    Ok(())
}
