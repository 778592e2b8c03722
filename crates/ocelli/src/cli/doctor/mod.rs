//! `ocelli doctor`: diagnoses a WebSocket server, a camera or this machine, in plain words
//! and with advice.
//!
//! # Layout
//! - [`report`]: the findings, as text and as JSON; removes secrets
//! - `route`: what an address refers to; `net`, `tls`: connecting
//! - `http`, `handshake`, `accept`, `frames`, `socket`: a WebSocket client that is as strict as a
//!   browser. It does not use a library, because a library would stop at the first fault and not
//!   report which one it is.
//! - `web`, `rtsp`, `camera`: cameras; `in_use`: other programs that watch them
//! - `machine`: ffmpeg, port, limits
//!
//! The doctor changes nothing.

mod accept;
mod camera;
mod frames;
mod handshake;
mod http;
mod in_use;
mod machine;
mod net;
pub mod report;
mod route;
mod rtsp;
mod socket;
mod tls;
mod web;

use crate::config::{CameraConfig, Config, from_argument};
use clap::Args;
use ocelli_config::nearest;
use ocelli_core::name::{DEFAULT_APP, check_room};
use ocelli_media::sources::{Address, KINDS};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use report::{Outcome, Report};
use route::Route;
use std::path::PathBuf;
use url::Url;

/// The arguments of `ocelli doctor`.
#[derive(Args)]
pub struct DoctorArgs {
    /// An address (ws:, wss:, http:, https:, rtsp:, any source) or a configured
    /// camera's id; this machine if none is given.
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// The file with the configured cameras and the listen address.
    #[arg(long, value_name = "FILE", default_value = "ocelli.toml")]
    pub config: PathBuf,
    /// A WebSocket subprotocol to request.
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<String>,
    /// Print an array of {check, result, message, expected?, received?}.
    #[arg(long)]
    pub json: bool,
}

/// Prints the findings on standard output. Returns true unless a check failed; a warning is
/// not a failure.
///
/// # Errors
/// Returns an error if there is no such target.
pub async fn run(args: &DoctorArgs) -> Result<bool, String> {
    let report = diagnose(args).await?;
    if args.json {
        println!("{}", report.json());
    } else {
        println!("{report}{}", report.summary());
    }
    Ok(report.outcome() != Outcome::Fail)
}

async fn diagnose(args: &DoctorArgs) -> Result<Report, String> {
    let mut report = Report::default();
    let Some(target) = &args.target else {
        machine::diagnose(&mut report, &args.config).await;
        return Ok(report);
    };
    let protocol = args.protocol.as_deref();
    // As on the command line of `serve`, an id may come before an address.
    let target = match target.split_once('=') {
        Some((id, address)) if check_room(id).is_ok() && address.contains(':') => address,
        _ => target,
    };
    let address = Address::new(target);
    hide_secret(&address, &mut report);
    match address.scheme() {
        "ws" | "wss" => {
            let (url, route) = parse(&address)?;
            if address.credentials.is_some() {
                report.warn(
                    "address",
                    "Browsers do not accept a user and a password in a WebSocket's address, so they \
                     are left out here.",
                );
            }
            if url.fragment().is_some() {
                report.warn("address", "The part after # in the address is never sent.");
            }
            socket::diagnose(&route, protocol, &mut report).await;
        }
        "http" | "https" => {
            parse(&address)?;
            let url = Url::parse(target.trim()).map_err(|_| not_an_address(&address))?;
            let hint = in_use::hint(&address).await;
            web::diagnose(target, &url, protocol, &mut report).await;
            report.explain_failures(hint.as_deref());
        }
        "rtsp" | "rtsps" => {
            // The doctor accepts what the hub accepts.
            let camera = from_argument(target, 1).map_err(|error| error.to_string())?;
            let hint = in_use::hint(&address).await;
            if rtsp::diagnose(&address, &mut report).await == rtsp::Codecs::NeedsFfmpeg {
                camera::diagnose(camera, &mut report).await;
            }
            report.explain_failures(hint.as_deref());
        }
        scheme if KINDS.iter().any(|kind| kind.schemes.contains(&scheme)) => {
            let camera = from_argument(target, 1).map_err(|error| error.to_string())?;
            let hint = in_use::hint(&address).await;
            camera::diagnose(camera, &mut report).await;
            report.explain_failures(hint.as_deref());
        }
        "" if target.starts_with(['/', '.']) => {
            return Err("for a file, write file: in front of its path".to_owned());
        }
        "" => configured(target, args, &mut report).await?,
        "tcp" => return Err("to let ffmpeg read it, write ffmpeg:tcp://…".to_owned()),
        scheme => return Err(no_target(scheme)),
    }
    Ok(report)
}

async fn configured(id: &str, args: &DoctorArgs, report: &mut Report) -> Result<(), String> {
    let config = Config::load(&args.config).map_err(|error| {
        format!("a target without a colon is the id of a configured camera, but {error}")
    })?;
    let full = |app: &str, room: &str| format!("{app}/{room}");
    let ids: Vec<_> = config
        .cameras
        .iter()
        .map(|camera| match camera.app.as_str() {
            DEFAULT_APP => camera.room.clone(),
            app => full(app, &camera.room),
        })
        .collect();
    let is_named = |camera: &CameraConfig| full(&camera.app, &camera.room) == id;
    let at = ids.iter().position(|known| known == id);
    let Some(at) = at.or_else(|| config.cameras.iter().position(is_named)) else {
        let known: Vec<_> = ids.iter().map(String::as_str).collect();
        let hint = match nearest(id, &known) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "write an address, like rtsp://10.0.0.7/stream1 or ws://host/path".to_owned(),
        };
        let file = args.config.display();
        return Err(format!("{file} has no camera {id:?}; {hint}"));
    };
    let Some(camera) = config.cameras.into_iter().nth(at) else {
        return Ok(());
    };
    hide_secret(&camera.address, report);
    let hint = in_use::hint(&camera.address).await;
    // Of `rtsps`, this would not know the configured `verify_tls`.
    let address = camera.address.clone();
    if address.scheme() != "rtsp"
        || rtsp::diagnose(&address, report).await == rtsp::Codecs::NeedsFfmpeg
    {
        camera::diagnose(camera, report).await;
    }
    report.explain_failures(hint.as_deref());
    Ok(())
}

fn parse(address: &Address) -> Result<(Url, Route), String> {
    let url = Url::parse(address.bare()).map_err(|_| not_an_address(address))?;
    let route = Route::of(&url).ok_or_else(|| not_an_address(address))?;
    Ok((url, route))
}

fn not_an_address(address: &Address) -> String {
    format!(
        "{:?} is not an address; write it like \"ws://10.0.0.7:8080/ws/cameras\"",
        address.redacted()
    )
}

/// The error for an unknown kind of address, with the valid ones. The address is not
/// repeated, because without `//` a password in it would not be recognized.
fn no_target(scheme: &str) -> String {
    let kinds = KINDS.iter().flat_map(|kind| kind.schemes);
    let known: Vec<_> = ["ws", "wss"].iter().chain(kinds).copied().collect();
    let hint = match nearest(scheme, &known) {
        Some(near) => format!("did you mean `{near}:`?"),
        None => format!(
            "an address begins with one of {}:, like ws://10.0.0.7:8080/ws/cameras",
            known.join(":, ")
        ),
    };
    format!("this kind of address is not supported; {hint}")
}

/// Hides the secrets of an address in the report, even if a server sends them back.
fn hide_secret(address: &Address, report: &mut Report) {
    if let Some(known) = &address.credentials {
        report.hide_secret(&known.password);
        let encoded = utf8_percent_encode(&known.password, NON_ALPHANUMERIC);
        report.hide_secret(&encoded.to_string());
    }
    let query = address
        .bare()
        .split_once('?')
        .map_or("", |(_, query)| query);
    let shown = address.redacted();
    let shown = shown.split_once('?').map_or("", |(_, query)| query);
    for (written, shown) in query.split('&').zip(shown.split('&')) {
        if let Some((_, value)) = written.split_once('=').filter(|_| written != shown) {
            report.hide_secret(value);
            report.hide_secret(&percent_decode_str(value).decode_utf8_lossy());
        }
    }
}
