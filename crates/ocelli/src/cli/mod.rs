//! The command line. It only combines other modules; it makes no decisions itself.

mod admin;
mod ca;
mod doctor;
mod exit;
mod key;
mod plot;
pub mod reference;
mod simulate;
mod token;

use crate::auth::AdminToken;
use crate::config::{self, Config, Log, LogFormat};
use crate::{launch, log};
use clap::{Args, Parser, Subcommand};
use doctor::DoctorArgs;
use exit::Exit;
use ocelli_config::parse_listen;
use ocelli_core::text::shown;
use ocelli_net::limits;
use rustix::process::Signal;
use simulate::Simulate;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// The default configuration file.
const DEFAULT_CONFIG: &str = "ocelli.toml";

/// Every camera, one socket: live cameras in any browser.
///
/// Without a command, ocelli runs ocelli.toml if it exists, otherwise a demo.
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Show cameras in browsers.
    Serve(Serve),
    /// Check a configuration file and print the first error.
    CheckConfig {
        /// The file.
        #[arg(default_value = DEFAULT_CONFIG)]
        file: PathBuf,
        /// The same as FILE, as `serve` and `doctor` name it.
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        config: Option<PathBuf>,
    },
    /// Create, list and revoke tokens of the HTTP interface.
    #[command(subcommand)]
    Token(token::Token),
    /// Create, list and revoke keys of devices that push.
    #[command(subcommand)]
    Key(key::Key),
    /// Become an administrator without a password: the first one, or after the password was lost.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Show or install the certificate authority of a hub that runs with --tls local.
    #[command(subcommand)]
    Ca(ca::Authority),
    /// Send a program's output to a hub, as a series of samples.
    ///
    /// some-program | ocelli plot "name"
    Plot(plot::Plot),
    /// Diagnose a WebSocket server, a camera or this machine.
    ///
    /// Exit code 0: no check failed (warnings are listed); 1: a check failed; 2: there is no
    /// such target.
    Doctor(DoctorArgs),
    /// Simulate a fleet of devices that push pictures, to test a hub under load.
    ///
    /// The hub's token is taken from OCELLI_TOKEN. Exit code 0: all devices were connected at the
    /// end (with --chaos: if the hub still answered).
    Simulate(Simulate),
    /// Print the reference of sources and configuration, as in docs.
    #[command(hide = true)]
    Reference,
}

#[derive(Args, Default)]
struct Serve {
    /// The configuration file; by default ocelli.toml if it exists and no SOURCE is given.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on: 127.0.0.1:8080 for this machine, 0.0.0.0:8080 for the network.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Encrypt connections: local (a certificate from the hub's own authority), files (the
    /// certificate and key named in the configuration) or off.
    #[arg(long, value_name = "MODE")]
    tls: Option<String>,
    /// Show the cameras only to users who sign in or have a link: sets public_playback to false
    /// for app live and for every configured app.
    #[arg(long)]
    private: bool,
    /// The directory for the hub's persistent data; ~/.local/share/ocelli by default.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The format of the log: text or json.
    #[arg(long, value_name = "FORMAT", value_parser = log_format)]
    log_format: Option<LogFormat>,
    /// Cameras: an address, or id=address.
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
}

fn log_format(text: &str) -> Result<LogFormat, &'static str> {
    LogFormat::parse(text).ok_or("it must be text or json")
}

/// Runs the command line and returns the exit code.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    if !matches!(command, None | Some(Command::Serve(_))) {
        log::init(&Log::default());
    }
    let done = match command {
        None => serve(Serve::default(), true),
        Some(Command::Serve(serve_args)) => serve(serve_args, false),
        Some(Command::CheckConfig { file, config }) => check(&config.unwrap_or(file)),
        Some(Command::Token(token)) => token.run(),
        Some(Command::Key(key)) => key.run(),
        Some(Command::Admin(admin)) => admin.run(),
        Some(Command::Ca(authority)) => authority.run(),
        Some(Command::Plot(plot)) => plot.run(),
        Some(Command::Doctor(args)) => diagnose(&args),
        Some(Command::Simulate(fleet)) => simulate(&fleet),
        Some(Command::Reference) => {
            let text = reference::text();
            io::stdout()
                .write_all(text.as_bytes())
                .map_err(Exit::failure)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            // The message may quote a file or a camera, so control characters are removed. Its line
            // breaks are kept.
            let lines: Vec<_> = exit.message.lines().map(shown).collect();
            let _ = writeln!(io::stderr(), "ocelli: {}", lines.join("\n"));
            ExitCode::from(exit.code)
        }
    }
}

fn check(file: &Path) -> Result<(), Exit> {
    let config = Config::load(file).map_err(Exit::usage)?;
    let count = config.cameras.len();
    run(async move {
        launch::hub(&config).map_err(Exit::usage)?.stop();
        Ok(())
    })?;
    let verdict = format!("{}: no errors; cameras: {count}", file.display());
    writeln!(io::stdout(), "{verdict}").map_err(Exit::failure)
}

fn diagnose(args: &DoctorArgs) -> Result<(), Exit> {
    run(async move {
        match doctor::run(args).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Exit::failure("a check failed")),
            Err(fault) => Err(Exit::usage(fault)),
        }
    })
}

fn simulate(fleet: &Simulate) -> Result<(), Exit> {
    run(async move {
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt()).map_err(Exit::failure)?,
            signal(SignalKind::terminate()).map_err(Exit::failure)?,
        );
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        match fleet.run(stop).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Exit::failure("not all devices were connected at the end")),
            Err(fault) => Err(Exit::failure(fault)),
        }
    })
}

/// The configuration from the command line and the configuration file.
fn configure(args: &Serve, demo: bool) -> Result<Config, ConfigOrFile> {
    let default = Path::new(DEFAULT_CONFIG);
    let mut config = match &args.config {
        Some(file) => Config::load(file)?,
        None if args.sources.is_empty() && default.exists() => Config::load(default)?,
        None => {
            let mut config = Config::new(parse_listen(config::DEFAULT_LISTEN)?);
            if demo {
                config.cameras = launch::demo()?;
            }
            config
        }
    };
    config.data.clone_from(&args.data);
    config.admin = admin_token().map_err(ConfigOrFile)?;
    if let Some(format) = args.log_format {
        config.log.format = format;
    }
    if let Some(listen) = &args.listen {
        config.listen = parse_listen(listen)?;
    }
    if let Some(mode) = &args.tls {
        config.tls = config.tls.override_with(mode).map_err(ConfigOrFile)?;
    }
    if args.private {
        config.make_private();
    }
    for (index, source) in args.sources.iter().enumerate() {
        config
            .cameras
            .push(config::from_argument(source, index + 1)?);
    }
    Ok(config)
}

/// The administrator's token from the environment, for unattended set-up.
fn admin_token() -> Result<Option<AdminToken>, String> {
    const TOKEN: &str = "OCELLI_ADMIN_TOKEN";
    const FILE: &str = "OCELLI_ADMIN_TOKEN_FILE";
    let (token, name) = match (std::env::var_os(TOKEN), std::env::var_os(FILE)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(format!("{TOKEN} and {FILE} are both set; set one")),
        (Some(token), None) => (token.into_string().unwrap_or_default(), TOKEN),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path);
            let fault = |error| format!("{FILE}: {} can't be read: {error}", path.display());
            (text.map_err(fault)?.trim_end().to_owned(), FILE)
        }
    };
    let admin = AdminToken::new(&token).map_err(|fault| format!("{name}: {fault}"))?;
    Ok(Some(admin))
}

/// A configuration error, from a file or from elsewhere.
struct ConfigOrFile(String);

impl<E: std::error::Error> From<E> for ConfigOrFile {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

fn serve(args: Serve, demo: bool) -> Result<(), Exit> {
    // Comes first, because the limit of connections follows from it.
    let raised = limits::raise_descriptor_limit();
    let config = configure(&args, demo).map_err(|error| Exit::usage(error.0))?;
    log::init(&config.log);
    if let Err(error) = raised {
        tracing::warn!(%error, "can't raise the limit on file descriptors");
    }
    run(async move {
        // SIGXFSZ is caught, so that reaching the file size limit fails only the one write.
        let full = SignalKind::from_raw(Signal::XFSZ.as_raw());
        let _caught = signal(full).map_err(Exit::failure)?;
        let hub = launch::hub(&config).map_err(Exit::usage)?;
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt()).map_err(Exit::failure)?,
            signal(SignalKind::terminate()).map_err(Exit::failure)?,
        );
        let shutdown = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        launch::serve(config, hub, shutdown)
            .await
            .map_err(Exit::failure)
    })
}

/// Runs a task on the current-thread runtime, with a few blocking threads for slow work.
fn run(task: impl Future<Output = Result<(), Exit>>) -> Result<(), Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .build()
        .map_err(Exit::failure)?;
    let done = runtime.block_on(task);
    // A blocking thread may be waiting for a name server; this does not wait for it.
    runtime.shutdown_background();
    done
}
