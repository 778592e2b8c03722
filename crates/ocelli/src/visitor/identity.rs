//! The state for identifying visitors: the store, the administrator's token, and the visitors
//! with long-lived connections.

use super::attempts::Attempts;
use super::long_lived::Visitors;
use crate::auth::{AdminToken, Passwords};
use crate::store::Store;
use ocelli_core::Hub;
use ocelli_net::server_state::ServerState;
use std::sync::Arc;

/// Shared state for authentication and authorization.
pub struct Identity {
    /// The cameras and apps, and the hub's clock.
    pub hub: Arc<Hub>,
    /// The HTTP server.
    pub server_state: Arc<ServerState>,
    /// The persistent store.
    pub store: Store,
    /// The administrator's token, if one is set.
    pub admin: Option<AdminToken>,
    /// Hashes and verifies passwords.
    pub passwords: Passwords,
    /// Rate limits for attempts.
    pub attempts: Attempts,
    /// Visitors with long-lived connections and credentials.
    pub visitors: Visitors,
}

impl Identity {
    /// An identity without a store and without an administrator's token.
    pub fn new(hub: Arc<Hub>, server_state: Arc<ServerState>) -> Self {
        Self {
            hub,
            server_state,
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
