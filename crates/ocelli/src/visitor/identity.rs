//! What is needed to tell who asks: the store, the administrator's token, and who is there.

use super::attempts::Attempts;
use super::long_lived::Visitors;
use crate::auth::{AdminToken, Passwords};
use crate::store::Store;
use ocelli_core::Hub;
use ocelli_net::front::Front;
use std::sync::Arc;

/// Shared state of everything that depends on who asks.
pub struct Identity {
    /// The cameras and apps, and the hub's clock.
    pub hub: Arc<Hub>,
    /// The server below the routes.
    pub front: Arc<Front>,
    /// What outlives the hub.
    pub store: Store,
    /// The administrator's own token, if one was set.
    pub admin: Option<AdminToken>,
    /// Makes hashes of passwords.
    pub passwords: Passwords,
    /// Attempts to get in.
    pub attempts: Attempts,
    /// Who stays a while, by a token or a session.
    pub visitors: Visitors,
}

impl Identity {
    /// Without a store and without an administrator's token.
    pub fn new(hub: Arc<Hub>, front: Arc<Front>) -> Self {
        Self {
            hub,
            front,
            store: Store::closed("this hub was started without a store"),
            admin: None,
            passwords: Passwords::default(),
            attempts: Attempts::default(),
            visitors: Visitors::default(),
        }
    }

    /// The hub's time in ms since the Unix epoch.
    pub fn now(&self) -> i64 {
        now(&self.hub)
    }
}

/// A hub's time in ms since the Unix epoch.
pub fn now(hub: &Hub) -> i64 {
    i64::try_from(hub.clock().now().0 / 1000).unwrap_or(i64::MAX)
}
