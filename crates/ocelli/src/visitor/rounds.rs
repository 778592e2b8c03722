//! Who stays, and whether what they came with is still good: asked in rounds for all
//! of them together, so that a stream costs no timer, and at once when something was
//! revoked.

use super::credential::{self, Found};
use super::identity::Identity;
use super::{Inner, Standing, Visitor};
use crate::store::StoreError;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often all are looked up again.
const ROUND: Duration = Duration::from_secs(20);
/// For how long a store may fail before nobody counts as known any more; with a round
/// it is less than the minute that a stream may outlive what opened it.
const FORGIVEN: Duration = Duration::from_secs(30);
/// How many are looked up before others get the store's thread.
const AT_A_TIME: usize = 64;

/// Those who stay.
#[derive(Default)]
pub struct Visitors {
    present: Mutex<Vec<Weak<Inner>>>,
    revoked: Notify,
}

impl Visitors {
    /// Has a visitor looked up again while they stay, which is while a clone is kept.
    pub fn stay(&self, visitor: &Visitor) {
        if visitor.0.brought.is_empty() {
            return;
        }
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.push(Arc::downgrade(&visitor.0));
    }

    /// Has all looked up again at once, for something was revoked or changed.
    pub fn look_again(&self) {
        self.revoked.notify_one();
    }

    fn present(&self) -> Vec<Arc<Inner>> {
        let mut all = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let present: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        *all = present.iter().map(Arc::downgrade).collect();
        present
    }
}

/// Looks everybody up who stays, again and again until the identity stops. Whoever shows
/// pictures learns of a change by [`ocelli_core::Hub::changes`].
pub async fn rounds(identity: Arc<Identity>) {
    let mut round = interval(ROUND);
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
            for (visitor, standing) in visitors.iter().zip(standings) {
                changed |= visitor.now_stands(standing);
            }
        }
        if changed {
            identity.hub.look_again();
        }
    }
}

async fn look_up(
    identity: &Identity,
    visitors: &[Arc<Inner>],
) -> Result<Vec<Standing>, StoreError> {
    let now = identity.now();
    let asked: Vec<_> = visitors.iter().map(|one| one.brought.clone()).collect();
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
    Ok(found.into_iter().map(Standing::of).collect())
}

impl Inner {
    fn without_store(&self) -> Standing {
        Standing::of(credential::without_store(&self.brought))
    }

    /// Takes what was found; whether it is something else than before.
    fn now_stands(&self, standing: Standing) -> bool {
        let mut own = self
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // A session is seen from time to time; that changes nothing for anybody.
        let differs = (own.lapsed, &own.wall, &own.grant, &own.cameras)
            != (
                standing.lapsed,
                &standing.wall,
                &standing.grant,
                &standing.cameras,
            );
        *own = standing;
        differs
    }
}
