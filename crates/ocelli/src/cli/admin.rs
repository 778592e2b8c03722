//! `ocelli admin`: what whoever has the machine may do without a password, whether a
//! hub runs or not.

use super::exit::Exit;
use super::token::{Place, now};
use crate::store::{self, StoreError};
use crate::urls::sign_in_link;
use crate::{catalog, config};
use clap::Subcommand;
use std::io::{self, Write};

#[derive(Subcommand)]
pub enum Admin {
    /// Print a link that works once, for 10 minutes: by it a new administrator is made,
    /// or an existing user sets a new password and becomes one.
    Link {
        /// What the hub's addresses begin with; where it was last reached by default.
        #[arg(long, value_name = "URL")]
        address: Option<String>,
        #[command(flatten)]
        place: Place,
    },
}

impl Admin {
    /// Does it.
    pub fn run(self) -> Result<(), Exit> {
        let Admin::Link { address, place } = self;
        let make = || -> Result<_, StoreError> {
            let (mut connection, key) = store::open(&place.directory()?)?;
            let code = catalog::make_code(&mut connection, &key, now())?;
            Ok((code, store::address::get(&connection)?))
        };
        let (code, known) = make().map_err(Exit::failure)?;
        let address = address.or(known);
        let address = address.unwrap_or_else(|| format!("http://{}", config::DEFAULT_LISTEN));
        let link = sign_in_link(address.trim_end_matches('/'), &code);
        writeln!(io::stdout(), "{link}").map_err(Exit::failure)
    }
}
