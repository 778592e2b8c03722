//! `ocelli ca`: shows the hub's own certificate authority and installs it on this machine.
//! The authority's key is never shown.

use super::exit::Exit;
use crate::launch;
use crate::pages::trust::fingerprint;
use clap::{Args, Subcommand};
use ocelli_net::tls::authority::Certificate;
use ocelli_net::tls::day;
use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory from which Debian's update-ca-certificates takes local certificates.
const SYSTEM_STORE: &str = "/usr/local/share/ca-certificates";

#[derive(Subcommand)]
pub enum Authority {
    /// Print the certificate, its file, its fingerprint and its expiry date.
    Show(DataArgs),
    /// Make this machine trust it: system-wide if run as root, and in the current user's
    /// browsers.
    Install {
        /// Only print what would be done.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Args)]
pub struct DataArgs {
    /// The hub's data directory; ~/.local/share/ocelli by default.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Authority {
    /// Runs the command.
    pub fn run(self) -> Result<(), Exit> {
        match self {
            Authority::Show(data) => show(&read_certificate(&data)?),
            Authority::Install { dry_run, data } => install(&read_certificate(&data)?, dry_run),
        }
    }
}

fn read_certificate(data: &DataArgs) -> Result<Certificate, Exit> {
    let data = launch::data_directory(data.data.as_deref()).map_err(Exit::failure)?;
    let found = Certificate::read(&data).map_err(Exit::failure)?;
    found.ok_or_else(|| {
        Exit::failure(format!(
            "there is no certificate authority in {}. `ocelli serve --tls local` creates one at its \
             first start. If the hub runs as another user or with --data, name its directory \
             with --data DIR",
            data.display()
        ))
    })
}

fn show(certificate: &Certificate) -> Result<(), Exit> {
    let last_day = certificate.expiry().map(day);
    // PEM parsers skip text before the certificate (RFC 7468, 5.2).
    let text = format!(
        "file         {}\nSHA-256      {}\nvalid until  {}\n{}",
        certificate.path.display(),
        fingerprint(&certificate.der),
        last_day.unwrap_or_else(|| "?".to_owned()),
        certificate.pem
    );
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Exit::failure)
}

/// One step of the installation.
enum Step {
    CreateDirectory(PathBuf),
    Copy(PathBuf, PathBuf),
    Run(PathBuf, Vec<String>),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::CreateDirectory(folder) => write!(f, "mkdir -p {}", folder.display()),
            Step::Copy(from, to) => write!(f, "cp {} {}", from.display(), to.display()),
            Step::Run(program, arguments) => {
                write!(f, "{}", program.display())?;
                arguments
                    .iter()
                    .try_for_each(|word| match word.contains([' ', ',']) {
                        true => write!(f, " '{word}'"),
                        false => write!(f, " {word}"),
                    })
            }
        }
    }
}

impl Step {
    fn run(&self) -> io::Result<()> {
        match self {
            Step::CreateDirectory(folder) => std::fs::create_dir_all(folder),
            Step::Copy(from, to) => std::fs::copy(from, to).map(drop),
            Step::Run(program, arguments) => {
                let status = Command::new(program).args(arguments).status()?;
                match status.success() {
                    true => Ok(()),
                    false => Err(io::Error::other(format!("it failed with {status}"))),
                }
            }
        }
    }
}

fn install(certificate: &Certificate, dry_run: bool) -> Result<(), Exit> {
    let root = rustix::process::geteuid().is_root();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut steps = Vec::new();
    match (root, program(&path, "update-ca-certificates")) {
        (true, Some(update)) => steps.extend(system_steps(certificate, update)),
        (true, None) => print(
            "Not installed system-wide: update-ca-certificates is missing (Debian: apt install \
             ca-certificates).",
        )?,
        (false, _) => print("Not installed system-wide: this needs root (sudo, with --data DIR).")?,
    }
    let home = env::var_os("HOME").map(PathBuf::from);
    match (home, program(&path, "certutil")) {
        (Some(home), Some(certutil)) => steps.extend(browser_steps(certificate, &home, certutil)),
        _ => print(
            "Not installed in this user's browsers: certutil is missing (Debian: apt install \
             libnss3-tools).",
        )?,
    }
    if steps.is_empty() {
        return Err(Exit::failure(format!(
            "nothing was installed; import this file into programs and browsers yourself: {}",
            certificate.path.display()
        )));
    }
    for step in &steps {
        print(&step.to_string())?;
        if !dry_run {
            step.run()
                .map_err(|error| Exit::failure(format!("{step}: {error}")))?;
        }
    }
    print(match dry_run {
        true => "Dry run: nothing was changed.",
        false => "Done. Restart any open browser.",
    })
}

fn print(text: &str) -> Result<(), Exit> {
    writeln!(io::stdout(), "{text}").map_err(Exit::failure)
}

/// The installed name. It includes the fingerprint, because each hub has its own authority.
fn name(certificate: &Certificate) -> String {
    let fingerprint_digits = fingerprint(&certificate.der).replace(':', "");
    format!("ocelli-{}", fingerprint_digits[..8].to_ascii_lowercase())
}

fn system_steps(certificate: &Certificate, update: PathBuf) -> Vec<Step> {
    let store = PathBuf::from(SYSTEM_STORE);
    let path = store.join(name(certificate) + ".crt");
    vec![
        Step::CreateDirectory(store),
        Step::Copy(certificate.path.clone(), path),
        Step::Run(update, Vec::new()),
    ]
}

/// Chromium and related browsers read the user's NSS database.
fn browser_steps(certificate: &Certificate, home: &Path, certutil: PathBuf) -> Vec<Step> {
    let folder = home.join(".pki/nssdb");
    let database = format!("sql:{}", folder.display());
    let run = |text: &[&str]| {
        let text = text.iter().map(|word| (*word).to_owned());
        Step::Run(certutil.clone(), text.collect())
    };
    let mut steps = Vec::new();
    if !folder.join("cert9.db").exists() {
        steps.push(Step::CreateDirectory(folder));
        steps.push(run(&["-d", &database, "-N", "--empty-password"]));
    }
    let file = certificate.path.display().to_string();
    let name = name(certificate);
    let add = ["-d", &database, "-A", "-t", "C,,", "-n", &name, "-i", &file];
    steps.push(run(&add));
    steps
}

fn program(path: &OsStr, name: &str) -> Option<PathBuf> {
    let places = env::split_paths(path).map(|folder| folder.join(name));
    places.into_iter().find(|path| path.is_file())
}
