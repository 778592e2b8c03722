//! Who stays, and whether what they came with is still good: asked in rounds for all
//! of them together, so that a stream costs no timer, and at once when something was
//! revoked.

use super::authorization::{Authorization, Inner};
use super::credential::{self, Found};
use super::identity::Identity;
use crate::store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often all are looked up again.
const INTERVAL: Duration = Duration::from_secs(20);
/// For how long a store may fail before nobody counts as known any more; with a round
/// it is less than the minute that a stream may outlive what opened it.
const FORGIVEN: Duration = Duration::from_secs(30);
/// How many are looked up before others get the store's thread.
const AT_A_TIME: usize = 64;

/// Looks everybody up who stays, again and again until the identity stops. Whoever shows
/// pictures learns of a change by [`ocelli_core::Hub::changes`].
pub async fn reauthorize_periodically(identity: Arc<Identity>) {
    let mut round = interval(INTERVAL);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = Instant::now();
    loop {
        tokio::select! {
            _ = round.tick() => {}
            () = identity.visitors.revoked.notified() => {}
            () = identity.front.stopping.cancelled() => return,
        }
        let mut changed = false;
        for visitors in identity.visitors.present().chunks(AT_A_TIME) {
            let standings = match look_up(&identity, visitors).await {
                Ok(standings) => {
                    answered = Instant::now();
                    standings
                }
                Err(_) if answered.elapsed() < FORGIVEN => continue,
                Err(_) => visitors.iter().map(|one| one.without_store()).collect(),
            };
            for (visitor, authorization) in visitors.iter().zip(standings) {
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
    let asked: Vec<_> = visitors.iter().map(|one| one.credentials.clone()).collect();
    if !asked.iter().any(|one| credential::needs_store(one)) {
        return Ok(visitors.iter().map(|one| one.without_store()).collect());
    }
    let find = move |connection: &mut _| {
        let found = asked
            .iter()
            .map(|one| credential::find(connection, one, now));
        found.collect::<Result<Vec<Vec<Option<Found>>>, _>>()
    };
    let found = identity.store.call(find).await?;
    Ok(found.into_iter().map(Authorization::of).collect())
}
