//! Periodic re-authorization of long-lived connections: in rounds for all visitors together, so
//! that a stream needs no timer, and immediately after something was revoked.

use super::authorization::{Authorization, Inner};
use super::credential::{self, Found};
use super::identity::Identity;
use crate::store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Time between rounds.
const INTERVAL: Duration = Duration::from_secs(20);
/// How long the store may fail before credentials are no longer trusted. Together with one round
/// this is less than the minute that a stream may outlive its credential.
const STORE_GRACE: Duration = Duration::from_secs(30);
/// Visitors looked up per store call, so that other work gets its turn on the store's thread.
const BATCH_SIZE: usize = 64;

/// Re-authorizes all tracked visitors until the hub stops. Streams learn of a change through
/// [`ocelli_core::Hub::changes`].
pub async fn reauthorize_periodically(identity: Arc<Identity>) {
    let mut round = interval(INTERVAL);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_success = Instant::now();
    loop {
        tokio::select! {
            _ = round.tick() => {}
            () = identity.visitors.revoked.notified() => {}
            () = identity.server_state.stopping.cancelled() => return,
        }
        let mut changed = false;
        for visitors in identity.visitors.connected().chunks(BATCH_SIZE) {
            let authorizations = match look_up(&identity, visitors).await {
                Ok(authorizations) => {
                    last_success = Instant::now();
                    authorizations
                }
                Err(_) if last_success.elapsed() < STORE_GRACE => continue,
                Err(_) => visitors.iter().map(|one| one.without_store()).collect(),
            };
            for (visitor, authorization) in visitors.iter().zip(authorizations) {
                changed |= visitor.update(authorization);
            }
        }
        if changed {
            identity.hub.recheck();
        }
    }
}

async fn look_up(
    identity: &Identity,
    visitors: &[Arc<Inner>],
) -> Result<Vec<Authorization>, StoreError> {
    let now = identity.now();
    let credentials: Vec<_> = visitors.iter().map(|one| one.credentials.clone()).collect();
    if !credentials.iter().any(|one| credential::needs_store(one)) {
        return Ok(visitors.iter().map(|one| one.without_store()).collect());
    }
    let find = move |connection: &mut _| {
        let found = credentials
            .iter()
            .map(|one| credential::find(connection, one, now));
        found.collect::<Result<Vec<Vec<Option<Found>>>, _>>()
    };
    let found = identity.store.call(find).await?;
    Ok(found.into_iter().map(Authorization::of).collect())
}
