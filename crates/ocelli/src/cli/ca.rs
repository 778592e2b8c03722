//! `ocelli ca`: the hub's own certificate authority, shown and made known to this
//! machine. Its key is never shown.

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

/// Where Debian's update-ca-certificates looks for what was added by hand.
const SYSTEM_STORE: &str = "/usr/local/share/ca-certificates";

#[derive(Subcommand)]
pub enum Authority {
    /// Print its certificate, where it is, its fingerprint and its last day.
    Show(Place),
    /// Make this machine trust it: as root for the whole system, and for the browsers
    /// of the user who asks.
    Install {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
pub struct Place {
    /// The hub's data directory; ~/.local/share/ocelli by default.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Authority {
    /// Does it.
    pub fn run(self) -> Result<(), Exit> {
        match self {
            Authority::Show(place) => show(&find(&place)?),
            Authority::Install { dry_run, place } => install(&find(&place)?, dry_run),
        }
    }
}

fn find(place: &Place) -> Result<Certificate, Exit> {
    let data = launch::data_directory(place.data.as_deref()).map_err(Exit::failure)?;
    let found = Certificate::read(&data).map_err(Exit::failure)?;
    found.ok_or_else(|| {
        Exit::failure(format!(
            "there is no certificate authority in {}. `ocelli serve --tls local` makes one at its \
             first start; if it was started by another user, or with --data, name its directory \
             here with --data DIR",
            data.display()
        ))
    })
}

fn show(certificate: &Certificate) -> Result<(), Exit> {
    let last_day = certificate.expiry().map(day);
    // Readers of PEM pass over what stands before it (RFC 7468, 5.2).
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

/// One thing that is done to make the authority known.
enum Step {
    Make(PathBuf),
    Copy(PathBuf, PathBuf),
    Run(PathBuf, Vec<String>),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Make(folder) => write!(f, "mkdir -p {}", folder.display()),
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
    fn take(&self) -> io::Result<()> {
        match self {
            Step::Make(folder) => std::fs::create_dir_all(folder),
            Step::Copy(from, to) => std::fs::copy(from, to).map(drop),
            Step::Run(program, arguments) => {
                let status = Command::new(program).args(arguments).status()?;
                match status.success() {
                    true => Ok(()),
                    false => Err(io::Error::other(format!("it ended with {status}"))),
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
        (true, Some(update)) => steps.extend(for_the_system(certificate, update)),
        (true, None) => say(
            "Not for the system: there is no update-ca-certificates here (Debian: apt install \
             ca-certificates).",
        )?,
        (false, _) => say("Not for the system: that takes root (sudo, with --data DIR).")?,
    }
    let home = env::var_os("HOME").map(PathBuf::from);
    match (home, program(&path, "certutil")) {
        (Some(home), Some(certutil)) => {
            steps.extend(for_the_browsers(certificate, &home, certutil))
        }
        _ => say(
            "Not for this user's browsers: there is no certutil here (Debian: apt install \
             libnss3-tools).",
        )?,
    }
    if steps.is_empty() {
        return Err(Exit::failure(format!(
            "nothing could be done; what programs and browsers want is {}",
            certificate.path.display()
        )));
    }
    for step in &steps {
        say(&step.to_string())?;
        if !dry_run {
            step.take()
                .map_err(|error| Exit::failure(format!("{step}: {error}")))?;
        }
    }
    say(match dry_run {
        true => "Nothing was done: this was a dry run.",
        false => "Done. A browser that is open wants to be started again.",
    })
}

fn say(words: &str) -> Result<(), Exit> {
    writeln!(io::stdout(), "{words}").map_err(Exit::failure)
}

/// What it is called among others: hubs have one each.
fn name(certificate: &Certificate) -> String {
    let print = fingerprint(&certificate.der).replace(':', "");
    format!("ocelli-{}", print[..8].to_ascii_lowercase())
}

fn for_the_system(certificate: &Certificate, update: PathBuf) -> Vec<Step> {
    let store = PathBuf::from(SYSTEM_STORE);
    let place = store.join(name(certificate) + ".crt");
    vec![
        Step::Make(store),
        Step::Copy(certificate.path.clone(), place),
        Step::Run(update, Vec::new()),
    ]
}

/// Chromium and its like read the user's own NSS database.
fn for_the_browsers(certificate: &Certificate, home: &Path, certutil: PathBuf) -> Vec<Step> {
    let folder = home.join(".pki/nssdb");
    let database = format!("sql:{}", folder.display());
    let run = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        Step::Run(certutil.clone(), words.collect())
    };
    let mut steps = Vec::new();
    if !folder.join("cert9.db").exists() {
        steps.push(Step::Make(folder));
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
    places.into_iter().find(|place| place.is_file())
}
