//! `ocelli admin`: administrator access without a password, for users with access to the
//! machine. Works whether a hub is running or not.

use super::exit::Exit;
use super::token::{DataArgs, now};
use crate::store::{self, StoreError};
use crate::urls::sign_in_link;
use crate::{catalog, config};
use clap::Subcommand;
use std::io::{self, Write};

#[derive(Subcommand)]
pub enum Admin {
    /// Print a link that works once, for 10 minutes: it creates a new administrator, or lets an
    /// existing user set a new password and become one.
    Link {
        /// The hub's base URL; by default that of its current or last run.
        #[arg(long, value_name = "URL")]
        address: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
}

impl Admin {
    /// Runs the command.
    pub fn run(self) -> Result<(), Exit> {
        let Admin::Link { address, data } = self;
        let make = || -> Result<_, StoreError> {
            let (mut connection, key) = store::open(&data.directory()?)?;
            let code = catalog::create_admin_code(&mut connection, &key, now())?;
            Ok((code, store::address::get(&connection)?))
        };
        let (code, known) = make().map_err(Exit::failure)?;
        let address = address.or(known);
        let address = address.unwrap_or_else(|| format!("http://{}", config::DEFAULT_LISTEN));
        let link = sign_in_link(address.trim_end_matches('/'), &code);
        writeln!(io::stdout(), "{link}").map_err(Exit::failure)
    }
}
