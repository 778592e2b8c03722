//! `ocelli key`: the keys of devices that push, in a data directory. Works whether a hub is
//! running or not.

use super::exit::Exit;
use super::token::DataArgs;
use crate::auth::{new_id, new_stream_key};
use crate::store::keys::{self, StreamKey};
use crate::store::{self, StoreError};
use clap::{Args, Subcommand};
use ocelli_core::name::{DEFAULT_APP, check_app, check_room};
use std::io::{self, Write};
use std::time::SystemTime;

#[derive(Subcommand)]
pub enum Key {
    /// Create a key for a device that pushes and print it; it is shown only once.
    Create(Create),
    /// List the keys, without their secrets.
    List(DataArgs),
    /// Revoke a key; a running hub disconnects its device within half a minute.
    Revoke {
        /// The key's id, wsi_….
        id: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Args)]
pub struct Create {
    /// The camera's room, like cam1.
    room: String,
    /// The app that the room is in.
    #[arg(long, default_value = DEFAULT_APP)]
    app: String,
    /// The device's name; by default wscam- followed by the key's last 4 characters.
    #[arg(long)]
    identity: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

impl Key {
    /// Runs the command.
    pub fn run(self) -> Result<(), Exit> {
        match self {
            Key::Create(create) => create.run(),
            Key::List(data) => list(&data).map_err(Exit::failure),
            Key::Revoke { id, data } => revoke(&id, &data).map_err(Exit::failure),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), Exit> {
        check_app(&self.app).map_err(Exit::usage)?;
        check_room(&self.room).map_err(Exit::usage)?;
        if let Some(identity) = &self.identity
            && check_room(identity).is_err()
        {
            let message = "--identity must be 1 to 120 of A-Z, a-z, 0-9, '.', '_' and '-'";
            return Err(Exit::usage(message));
        }
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let secret = new_stream_key();
        let end = &secret[secret.len() - 4..];
        let key = StreamKey {
            id: new_id("wsi"),
            app: self.app,
            room: self.room,
            identity: self.identity.unwrap_or_else(|| format!("wscam-{end}")),
            created: i64::try_from(now.as_millis()).unwrap_or_default(),
        };
        let keep = || -> Result<(), StoreError> {
            let (connection, hashes) = store::open(&self.data.directory()?)?;
            keys::insert(&connection, &key, &hashes.hash(&secret))
        };
        keep().map_err(Exit::failure)?;
        // Written in one call, because a key that was printed only in part can't be recovered.
        writeln!(io::stdout(), "{secret}").map_err(Exit::failure)
    }
}

fn list(data: &DataArgs) -> Result<(), StoreError> {
    let (connection, _) = store::open(&data.directory()?)?;
    let lines = keys::all(&connection)?.into_iter().map(|key| {
        let StreamKey {
            id,
            app,
            room,
            identity,
            ..
        } = key;
        format!("{id}  {app}  {room}  {identity}\n")
    });
    let list: String = lines.collect();
    // Ignored: a reader that closes the pipe has seen enough.
    let _ = io::stdout().write_all(list.as_bytes());
    Ok(())
}

fn revoke(id: &str, data: &DataArgs) -> Result<(), StoreError> {
    let (connection, _) = store::open(&data.directory()?)?;
    match keys::delete(&connection, id, None)? {
        Some(_) => Ok(()),
        None => Err(StoreError::Missing(format!(
            "there is no key {id:?}; list the keys with `ocelli key list`"
        ))),
    }
}
