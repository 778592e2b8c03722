//! `ocelli token`: the tokens in a data directory. Works whether a hub is running or not.

use super::exit::Exit;
use crate::auth::{Allowance, Permission, new_id, new_token};
use crate::launch;
use crate::store::{self, StoreError, tokens};
use clap::{Args, Subcommand};
use ocelli_core::name::check_app;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

#[derive(Subcommand)]
pub enum Token {
    /// Create a token and print it; it is shown only once.
    Create(Create),
    /// List the tokens, without their secrets.
    List(DataArgs),
    /// Revoke a token; a running hub refuses it from then on.
    Revoke {
        /// The token's id, tok_….
        id: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Args)]
pub struct Create {
    /// The purpose of the token, in your own words.
    name: String,
    /// The app that the token is limited to; without it, the token is for all apps and the hub.
    #[arg(long)]
    app: Option<String>,
    /// A permission, like app:read, 'camera:*' or '*'; may be given several times. By default
    /// all except creating tokens.
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Vec<String>,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Args)]
pub struct DataArgs {
    /// The hub's data directory; ~/.local/share/ocelli by default.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl DataArgs {
    /// The data directory, `--data` or the default one.
    pub fn directory(&self) -> Result<PathBuf, StoreError> {
        launch::data_directory(self.data.as_deref())
    }
}

impl Token {
    /// Runs the command.
    pub fn run(self) -> Result<(), Exit> {
        match self {
            Token::Create(create) => create.run(),
            Token::List(data) => list(&data).map_err(Exit::failure),
            Token::Revoke { id, data } => revoke(&id, &data).map_err(Exit::failure),
        }
    }
}

/// The current time in ms since the Unix epoch.
pub fn now() -> i64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or_default()
}

impl Create {
    fn run(self) -> Result<(), Exit> {
        if let Some(app) = &self.app {
            check_app(app).map_err(Exit::usage)?;
        }
        let mut allowance = Allowance::default_for_token(self.app);
        if !self.permissions.is_empty() {
            let read = self.permissions.iter().map(|text| Permission::read(text));
            allowance.permissions = read.collect::<Result<_, _>>().map_err(Exit::usage)?;
        }
        let token = tokens::Token {
            id: new_id("tok"),
            name: self.name,
            allowance,
            created: now(),
        };
        let secret = new_token();
        let keep = || -> Result<(), StoreError> {
            let (connection, key) = store::open(&self.data.directory()?)?;
            tokens::insert(&connection, &token, &key.hash(&secret))
        };
        keep().map_err(Exit::failure)?;
        // Written in one call, because a token that was printed only in part can't be recovered.
        writeln!(io::stdout(), "{secret}").map_err(Exit::failure)
    }
}

fn list(data: &DataArgs) -> Result<(), StoreError> {
    let (connection, _) = store::open(&data.directory()?)?;
    let mut list = String::new();
    for token in tokens::all(&connection)? {
        let permissions: Vec<_> = token
            .allowance
            .permissions
            .iter()
            .map(Permission::text)
            .collect();
        list.push_str(&format!(
            "{}  {}  {}  {:?}\n",
            token.id,
            token.allowance.app.as_deref().unwrap_or("(global)"),
            permissions.join(","),
            token.name
        ));
    }
    // Ignored: a reader that closes the pipe has seen enough.
    let _ = io::stdout().write_all(list.as_bytes());
    Ok(())
}

fn revoke(id: &str, data: &DataArgs) -> Result<(), StoreError> {
    let (connection, _) = store::open(&data.directory()?)?;
    match tokens::delete(&connection, id)? {
        true => Ok(()),
        false => Err(StoreError::Missing(format!(
            "there is no token {id:?}; list the tokens with `ocelli token list`"
        ))),
    }
}
