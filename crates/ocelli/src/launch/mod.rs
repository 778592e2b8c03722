//! Starts a hub from a configuration.

mod heap;
mod persistent;

pub use persistent::data_directory;

use crate::catalog::{Catalog, ChangeError, Configured, Policy, put_configured};
use crate::config::{CameraConfig, Config, from_argument};
use crate::ingest::Ingest;
use crate::pages::trust;
use crate::server::{self, Services};
use crate::sinks::jsmpeg;
use crate::store::{self, Store};
use crate::telemetry::Telemetry;
use crate::urls::sign_in_link;
use crate::visitor::{self, Identity};
use crate::{api, log, telemetry};
use ocelli_config::ConfigError;
use ocelli_core::{Capacity, Hub, SystemClock};
use ocelli_media::parameter_set;
use ocelli_media::sources::SsrfGuard;
use ocelli_net::origin_policy::{OriginPolicy, own_addresses};
use ocelli_net::plain::framing;
use ocelli_net::server_state::ServerState;
use ocelli_net::tls::TlsError;
use ocelli_net::tls::authority::{Certificate, Names};
use ocelli_net::tls::renewal::{CertificateRenewer, Mode};
use persistent::Persistent;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::net::{TcpListener, TcpSocket};

/// The accept backlog. The kernel drops connections beyond it, and clients try again after
/// one second, then two, then four. A fleet of boards that all reconnect at once must fit.
/// 4096 is Linux's own default limit.
const BACKLOG: u32 = 4096;

/// Creates a hub from a configuration. Uses no network itself, but cameras with `keep`
/// begin to connect, so it needs a running runtime.
///
/// # Errors
/// Returns an error if two cameras have the same id, or if a camera names an app
/// that is not configured.
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
    // Uses the same path as ffmpeg cameras: a child process, JPEG, its own clock.
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

/// The demo's cameras, used when the hub is started without any.
///
/// # Errors
/// Returns an error only because of a defect in the demo's list; a user can't cause one.
pub fn demo() -> Result<Vec<CameraConfig>, ConfigError> {
    let cameras = DEMO.iter().enumerate().map(|(index, (name, source))| {
        let mut camera = from_argument(source, index + 1)?;
        camera.name = (*name).to_owned();
        Ok(camera)
    });
    cameras.collect()
}

/// Writes to standard error who can reach the hub and what to do next.
fn print_hints(address: SocketAddr, hub: &Hub, tls: &Mode, store: &Store) {
    let mut words = String::new();
    let public = hub.apps().iter().any(|app| app.public_playback);
    if hub.cameras().is_empty() {
        words.push_str(
            "No cameras yet. Add one like this: \
             ocelli serve rtsp://user:password@10.0.0.7/stream1\n",
        );
    }
    if address.ip().is_loopback() {
        let port = address.port();
        words.push_str(&format!(
            "The hub can be reached from this machine only. To allow access from your network: --listen 0.0.0.0:{port}\n"
        ));
        if public {
            words.push_str(
                "(anyone on that network can then watch the cameras without a password; \
                 with --private, only users who sign in can).\n",
            );
        }
    } else if public {
        words.push_str(&format!(
            "Anyone who can reach {address} can watch the cameras; with --private, only users who \
             sign in can.\n"
        ));
    } else if store.fault().is_none() {
        words.push_str("Users who sign in or have a link can watch the cameras.\n");
    }
    if let Mode::Local(_) = tls {
        let port = address.port();
        words.push_str(&format!(
            "Devices trust the hub after its certificate authority is installed on them: open \
             http://<this machine>:{port}/ca on them.\n"
        ));
    }
    log::print_message(&words);
}

/// The base URL for the user who started the hub, which listens on `listen`.
fn local_address(server_state: &ServerState, listen: SocketAddr) -> String {
    if let Some(url) = server_state.origin_policy.public() {
        return url.origin().to_owned();
    }
    let scheme = server_state.scheme();
    match listen.ip().is_unspecified() {
        true => format!("{scheme}://localhost:{}", listen.port()),
        false => format!("{scheme}://{listen}"),
    }
}

/// Writes the link that creates the first user to standard error, if there is no user yet.
/// The link is written nowhere else, because it gives full control of the hub.
async fn print_setup_link(catalog: &Arc<Catalog>, address: &str) -> Result<(), ChangeError> {
    if let Some(code) = catalog.create_first_code().await? {
        let words = format!(
            "No user yet. Within 10 minutes, choose a password here:\n  {}\n",
            sign_in_link(address, &code)
        );
        log::print_message(&words);
    }
    Ok(())
}

/// The reason why the hub does not start.
#[derive(Debug)]
pub enum LaunchError {
    /// The address can't be listened on.
    Listen(SocketAddr, io::Error),
    /// TLS is configured but can't be set up.
    Tls(TlsError),
}

impl std::fmt::Display for LaunchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LaunchError::Listen(address, error) => write!(f, "can't listen on {address}: {error}"),
            LaunchError::Tls(error) => write!(f, "can't serve TLS: {error}"),
        }
    }
}

impl std::error::Error for LaunchError {}

/// Sets up TLS as configured. Returns the keeper that keeps the certificate current, and the hub's
/// own certificate authority if it has one.
fn prepare_tls(
    server_state: &mut ServerState,
    config: &Config,
) -> Result<(Option<CertificateRenewer>, Option<Certificate>), TlsError> {
    let (renewer, authority) = match &config.tls {
        Mode::Off => return Ok((None, None)),
        Mode::Files(files) => (CertificateRenewer::of_files(files.clone())?, None),
        Mode::Local(_) => {
            let data = data_directory(config.data.as_deref())
                .map_err(|error| TlsError::new(error.to_string()))?;
            let mut lasting = Names::default();
            let names = server_state.origin_policy.names().iter();
            names.for_each(|name| lasting.add(name));
            lasting.add_address(config.listen.ip());
            let (renewer, authority) = CertificateRenewer::of_authority(
                &data,
                lasting,
                &own_addresses(),
                SystemTime::now(),
            )?;
            (renewer, Some(authority))
        }
    };
    server_state.tls = Some(renewer.server().clone());
    Ok((Some(renewer), authority))
}

/// Listens and serves until `shutdown` is ready.
///
/// # Errors
/// Returns an error if an address can't be listened on, or if TLS is configured
/// but can't be set up.
pub async fn serve(
    config: Config,
    hub: Arc<Hub>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), LaunchError> {
    let listener = bind(config.listen)?;
    let ports = bind_ports(&config, &hub)?;
    let address = bound_address(&listener, config.listen)?;
    let mut hosts = config.allowed_hosts.clone();
    if let Mode::Local(names) = &config.tls {
        hosts.extend_from_slice(names);
    }
    let origin_policy = OriginPolicy::new(&hosts, &config.allowed_origins);
    let origin_policy = origin_policy.with_public_url(config.public_url.clone());
    let mut server_state = ServerState::new(origin_policy, hub.budgets().clone());
    server_state.proxies = config.trusted_proxies.clone();
    server_state.framing = framing(&config.frame_ancestors);
    server_state.limit(config.limits.clone());
    let (renewer, authority) = prepare_tls(&mut server_state, &config).map_err(LaunchError::Tls)?;
    let configured = Configured::of(&config.apps, config.cameras, &hub);
    let ssrf_guard = match config.allow_local_sources {
        true => SsrfGuard::disabled(),
        false => SsrfGuard::new(address.port()),
    };
    let now = visitor::now(&hub);
    let state = Persistent::open(config.data.as_deref(), now).await;
    if let Some(fault) = &state.fault {
        fault.apply(&hub, &configured);
    }
    let server_state = Arc::new(server_state);
    let mut identity = Identity::new(hub, server_state.clone());
    identity.store = state.store;
    identity.admin = config.admin;
    let identity = Arc::new(identity);
    let ingest = Arc::new(Ingest::new(identity.clone()));
    let policy = Policy {
        ssrf_guard,
        max_added_cameras: config.max_added_cameras,
    };
    let catalog = Catalog::new(identity.clone(), ingest.clone(), configured, policy);
    let catalog = Arc::new(catalog);
    catalog.restore(state.saved);
    let data = data_directory(config.data.as_deref()).ok();
    let telemetry = Telemetry::start(config.telemetry.bounds, data.as_deref());
    print_hints(address, &identity.hub, &config.tls, &identity.store);
    if identity.store.key().is_ok() {
        let ours = local_address(&server_state, address);
        if let Err(error) = print_setup_link(&catalog, &ours).await {
            tracing::error!("can't create the link for the first user: {error}");
        }
        let keep =
            move |connection: &mut rusqlite::Connection| store::address::put(connection, &ours);
        if let Err(error) = identity.store.call(keep).await {
            tracing::warn!(
                "can't save the hub's address, so `ocelli admin link` needs it as an argument: {error}"
            );
        }
    }
    let scheme = server_state.scheme();
    if let Err(error) = writeln!(io::stdout(), "listening on {scheme}://{address}") {
        tracing::warn!(%address, %error, "listening, but can't write to standard output");
    }
    let keeping = renewer.map(|renewer| tokio::spawn(renewer.run()));
    let memory_task = tokio::spawn(heap::return_memory());
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
    drop(state.lock);
    memory_task.abort();
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
        // Allows a restarted hub to bind its port at once.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|error| LaunchError::Listen(address, error))
}

/// The address that was bound for `requested`.
fn bound_address(listener: &TcpListener, requested: SocketAddr) -> Result<SocketAddr, LaunchError> {
    let local = listener.local_addr();
    local.map_err(|error| LaunchError::Listen(requested, error))
}

/// Binds the JSMpeg ports of the cameras that have them.
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
            ws_port: bound_address(&ws, options.ws)?.port(),
        };
        tracing::info!(
            camera = camera.room,
            http = %bound_address(&http, options.http)?,
            ws = %bound_address(&ws, options.ws)?,
            "listening on the camera's JSMpeg ports",
        );
        bound.push((ports, http, ws));
    }
    Ok(bound)
}
