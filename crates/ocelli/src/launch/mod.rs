//! From a configuration to a running hub.

mod heap;

use crate::catalog::{Catalog, ChangeError, Configured, Policy, Saved, put_configured};
use crate::config::{CameraConfig, Config, from_argument};
use crate::ingest::Ingest;
use crate::pages::trust;
use crate::server::{self, Services};
use crate::sinks::jsmpeg;
use crate::store::{self, Store, StoreError};
use crate::telemetry::Telemetry;
use crate::urls::sign_in_link;
use crate::visitor::{self, Identity};
use crate::{api, log, telemetry};
use ocelli_config::ConfigError;
use ocelli_core::{Capacity, Hub, SystemClock};
use ocelli_media::parameter_set;
use ocelli_media::sources::SsrfGuard;
use ocelli_net::front::Front;
use ocelli_net::origin_policy::{OriginPolicy, own_addresses};
use ocelli_net::plain::framing;
use ocelli_net::tls::TlsError;
use ocelli_net::tls::authority::{Certificate, Names};
use ocelli_net::tls::keep::{Keeper, Mode};
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{Instant, sleep};

/// Connections that may wait to be accepted. What comes beyond is dropped by the kernel and
/// tries again after one second, then two, then four: a fleet of boards that all come
/// back at once is to fit. Linux itself allows 4096 of them, unless told otherwise.
const BACKLOG: u32 = 4096;

/// Makes a hub of what was configured. Touches no network, but cameras with
/// `keep` begin to connect, so it needs a running runtime.
///
/// # Errors
/// Two cameras of one id, or an app that is not configured.
pub fn hub(config: &Config) -> Result<Arc<Hub>, ConfigError> {
    let media = config.limits.media.clone();
    let capacity = Arc::new(Capacity::new(media, parameter_set::measure));
    let hub = Arc::new(Hub::with(Arc::new(SystemClock), capacity));
    put_configured(&hub, config)?;
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
fn greet(address: SocketAddr, hub: &Hub, tls: &Mode) {
    let mut words = String::new();
    let public = hub.apps().iter().any(|app| app.public_playback);
    if hub.cameras().is_empty() {
        words.push_str(
            "No cameras yet. Name them like this: \
             ocelli serve rtsp://user:password@10.0.0.7/stream1\n",
        );
    }
    if address.ip().is_loopback() {
        let port = address.port();
        words.push_str(&format!(
            "Only this machine can open it. To open it to your network: --listen 0.0.0.0:{port}\n"
        ));
        if public {
            words.push_str(
                "(anybody on that network can then watch the cameras, without a password; \
                 --private shows them only to those who sign in).\n",
            );
        }
    } else if public {
        words.push_str(&format!(
            "Anybody who reaches {address} can watch the cameras; --private shows them only \
             to those who sign in.\n"
        ));
    } else {
        words.push_str("Those who sign in or have a link can watch the cameras.\n");
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
fn local_address(front: &Front, listen: SocketAddr) -> String {
    if let Some(url) = front.origin_policy.public() {
        return url.origin().to_owned();
    }
    let scheme = front.scheme();
    match listen.ip().is_unspecified() {
        true => format!("{scheme}://localhost:{}", listen.port()),
        false => format!("{scheme}://{listen}"),
    }
}

/// Says on standard error by which link the first user is made, if there is none yet.
/// It goes nowhere else: whoever reads it can take the hub over.
async fn invite(catalog: &Arc<Catalog>, address: &str) -> Result<(), ChangeError> {
    if let Some(code) = catalog.first_code().await? {
        let words = format!(
            "No user yet. Within 10 minutes, choose a password here:\n  {}\n",
            sign_in_link(address, &code)
        );
        log::say(&words);
    }
    Ok(())
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

/// How long a hub that is about to end may still have the data directory.
const TAKEOVER: Duration = Duration::from_secs(3);

/// Claims the data directory. Two hubs on one would undo each other's work: of the links
/// and the addresses that are kept there only the last one's would be right.
async fn claim(data: &Path) -> Result<File, StoreError> {
    let until = Instant::now() + TAKEOVER;
    loop {
        if let Some(claim) = store::claim(data)? {
            return Ok(claim);
        }
        if Instant::now() >= until {
            return Err(StoreError::Unusable(format!(
                "another hub runs on {}; give each a directory of its own with --data DIR",
                data.display()
            )));
        }
        sleep(TAKEOVER / 30).await;
    }
}

/// Opens the store of a data directory, which is then claimed, and reads what the last run
/// left there.
async fn open_store(
    data: Option<&Path>,
    claimed: &mut Option<File>,
    saved: &mut Saved,
    now: i64,
) -> Result<Store, StoreError> {
    let data = data_directory(data)?;
    *claimed = Some(claim(&data).await?);
    let store = Store::open(&data)?;
    let fault = |error| StoreError::Unusable(format!("{} can't be used: {error}", data.display()));
    saved.read(&store, now).await.map_err(fault)?;
    Ok(store)
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

/// Prepares TLS as it was configured; what keeps its certificate, and the hub's own authority
/// where there is one.
fn prepare_tls(
    front: &mut Front,
    config: &Config,
) -> Result<(Option<Keeper>, Option<Certificate>), TlsError> {
    let (keeper, authority) = match &config.tls {
        Mode::Off => return Ok((None, None)),
        Mode::Files(files) => (Keeper::of_files(files.clone())?, None),
        Mode::Local(_) => {
            let data = data_directory(config.data.as_deref())
                .map_err(|error| TlsError::new(error.to_string()))?;
            let mut lasting = Names::default();
            let names = front.origin_policy.names().iter();
            names.for_each(|name| lasting.add(name));
            lasting.add_address(config.listen.ip());
            let (keeper, authority) =
                Keeper::of_authority(&data, lasting, &own_addresses(), SystemTime::now())?;
            (keeper, Some(authority))
        }
    };
    front.tls = Some(keeper.server().clone());
    Ok((Some(keeper), authority))
}

/// Listens and serves until `shutdown` is ready.
///
/// # Errors
/// An address can't be listened on, or TLS was asked for and can't be had.
pub async fn serve(
    config: Config,
    hub: Arc<Hub>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), LaunchError> {
    let listener = bind(config.listen)?;
    let ports = bind_ports(&config, &hub)?;
    let address = here(&listener, config.listen)?;
    let mut hosts = config.allowed_hosts.clone();
    if let Mode::Local(names) = &config.tls {
        hosts.extend_from_slice(names);
    }
    let origin_policy = OriginPolicy::new(&hosts, &config.allowed_origins);
    let origin_policy = origin_policy.found_at(config.public_url.clone());
    let mut front = Front::new(origin_policy, hub.budgets().clone());
    front.proxies = config.trusted_proxies.clone();
    front.framing = framing(&config.frame_ancestors);
    front.limit(config.limits.clone());
    let (keeper, authority) = prepare_tls(&mut front, &config).map_err(LaunchError::Tls)?;
    let configured = Configured::of(&config.apps, config.cameras, &hub);
    let ssrf_guard = match config.allow_local_sources {
        true => SsrfGuard::disabled(),
        false => SsrfGuard::new(address.port()),
    };
    let (mut claimed, mut saved) = (None, Saved::default());
    let now = visitor::now(&hub);
    let opened = open_store(config.data.as_deref(), &mut claimed, &mut saved, now).await;
    let store = opened.unwrap_or_else(|error| {
        tracing::error!(
            "{error}. The cameras of the configuration are shown all the same, in app \"live\" \
             to anybody unless [app.live] in it says otherwise; tokens and changes of apps wait \
             until this is mended and the hub started anew"
        );
        // Nothing may be changed on top of what can't be read.
        Store::closed(&error.to_string())
    });
    let front = Arc::new(front);
    let mut identity = Identity::new(hub, front.clone());
    identity.store = store;
    identity.admin = config.admin;
    let identity = Arc::new(identity);
    let ingest = Arc::new(Ingest::new(identity.clone()));
    let policy = Policy {
        ssrf_guard,
        max_added_cameras: config.max_added_cameras,
    };
    let catalog = Catalog::new(identity.clone(), ingest.clone(), configured, policy);
    let catalog = Arc::new(catalog);
    catalog.restore(saved);
    let data = data_directory(config.data.as_deref()).ok();
    let telemetry = Telemetry::start(config.telemetry.bounds, data.as_deref());
    greet(address, &identity.hub, &config.tls);
    if identity.store.key().is_ok() {
        let ours = local_address(&front, address);
        if let Err(error) = invite(&catalog, &ours).await {
            tracing::error!("the link for the first user can't be made: {error}");
        }
        let keep =
            move |connection: &mut rusqlite::Connection| store::address::put(connection, &ours);
        if let Err(error) = identity.store.call(keep).await {
            tracing::warn!(
                "where the hub is reached can't be kept, so `ocelli admin link` has to be told: {error}"
            );
        }
    }
    let scheme = front.scheme();
    if let Err(error) = writeln!(io::stdout(), "listening on {scheme}://{address}") {
        tracing::warn!(%address, %error, "listening, but can't say so on standard output");
    }
    let keeping = keeper.map(|keeper| tokio::spawn(keeper.run()));
    let giving_back = tokio::spawn(heap::give_back());
    let authority = authority.map(Arc::new);
    let plaintext_routes = trust::routes(authority.clone());
    let reports = ingest.reports();
    telemetry::serve(
        &telemetry,
        &config.telemetry,
        config.listen,
        &identity,
        plaintext_routes,
        reports,
    );
    for (ports, http, ws) in ports {
        jsmpeg::serve(&identity, ports, http, ws);
    }
    let api = api::State::new(
        identity.clone(),
        catalog,
        ingest.clone(),
        telemetry.clone(),
        config.metrics,
    );
    let services = Services {
        identity,
        ingest,
        telemetry,
        api: api.into(),
        authority,
    };
    server::run(listener, services, shutdown).await;
    drop(claimed);
    giving_back.abort();
    if let Some(keeping) = keeping {
        keeping.abort();
    }
    Ok(())
}

fn bind(address: SocketAddr) -> Result<TcpListener, LaunchError> {
    let bound = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A hub that is started again finds its port free.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|error| LaunchError::Listen(address, error))
}

/// The address that was bound where this one was asked for.
fn here(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, LaunchError> {
    let local = listener.local_addr();
    local.map_err(|error| LaunchError::Listen(asked, error))
}

/// The ports that cameras have of their own, with their listeners.
fn bind_ports(
    config: &Config,
    hub: &Hub,
) -> Result<Vec<(jsmpeg::Ports, TcpListener, TcpListener)>, LaunchError> {
    let mut bound = Vec::new();
    for camera in &config.cameras {
        let (Some(options), Some(found)) =
            (&camera.jsmpeg_ports, hub.find(&camera.app, &camera.room))
        else {
            continue;
        };
        let (http, ws) = (bind(options.http)?, bind(options.ws)?);
        let ports = jsmpeg::Ports {
            camera: found,
            options: options.clone(),
            ws_port: here(&ws, options.ws)?.port(),
        };
        tracing::info!(
            camera = camera.room,
            http = %here(&http, options.http)?,
            ws = %here(&ws, options.ws)?,
            "its own ports for JSMpeg pages",
        );
        bound.push((ports, http, ws));
    }
    Ok(bound)
}
