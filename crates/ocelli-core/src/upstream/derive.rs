//! Runs the renditions of a camera's stream while there is demand and the hub has capacity.

use super::Upstream;
use super::attempts::run_isolated;
use crate::capacity::Permit;
use crate::crashes::{Crashes, Ended};
use crate::demand::{Demand, Derived, lapse};
use crate::frame::Codec;
use crate::source::{Failure, FailureKind, Publisher, Rendition};
use crate::subscription::Follower;
use std::sync::Arc;
use tokio::time::Instant;

impl Upstream {
    /// Returns why no MPEG-1 viewer can start now: the limit of renditions is reached, and
    /// none of them is for this camera.
    pub(crate) fn mpeg1_refusal(&self) -> Option<String> {
        let permits = self.streams.common.capacity.permits(Derived::Mpeg1);
        let refused = permits.is_exhausted() && !self.streams.mpeg1.is_running();
        refused.then(|| permits.refuse())
    }

    /// Runs a rendition while there is demand. Never returns.
    pub(super) async fn derive(self: &Arc<Self>, derived: Derived) {
        let streams = &self.streams;
        let stream = streams.derived(derived);
        let slot = &stream.slot;
        let name = derived.name();
        let wanted = move |demand: &Demand| derived.wanted(demand);
        let mut demand = streams.demand.subscribe();
        let mut crashes = Crashes::default();
        loop {
            if !wanted(&streams.demand.borrow()) {
                streams.derived_idle(derived);
            }
            // The sender is in `streams`, so waiting can't fail.
            let _ = demand.wait_for(wanted).await;
            let Some(rendition) = self.renditions.of(derived).cloned() else {
                let reason = format!("this hub has no {name} rendition for its stream");
                streams.fail_derived(derived, reason);
                return std::future::pending().await;
            };
            let codec = streams.codec();
            let before = slot.status().frames;
            let failure = tokio::select! {
                failure = self.derive_once(derived, rendition, codec) => failure,
                () = lapse(&streams.demand, wanted) => {
                    stream.discard();
                    continue;
                }
                // A stream in another codec is in another slot.
                _ = demand.wait_for(|demand| demand.codec != codec) => continue,
            };
            slot.interrupt();
            let mut crashed = |had_pictures| {
                let ended = Ended {
                    had_pictures,
                    ..Ended::default()
                };
                // A process that decodes video in vain is expensive, watched or not.
                let backoff = crashes.add(Instant::now(), ended);
                (backoff.failed, backoff.wait)
            };
            let (failed, wait) = match failure.kind {
                // The rendition used its whole time without a result, and would do so again. A
                // rendition that made pictures before it stalled is treated as a normal crash.
                FailureKind::Silent if slot.status().frames == before => (true, crashes.fail()),
                FailureKind::Silent => crashed(true),
                _ => crashed(slot.status().fps > 0.0),
            };
            if failed {
                if let Some(times) = streams.count_log(|log| &mut log.rendition_failed) {
                    tracing::warn!(camera = %streams.id, state = "failed", reason = %failure,
                        "{name} rendition failed{times}; next try in {wait:?}");
                }
                streams.fail_derived(derived, failure.reason);
            } else {
                if let Some(times) = streams.count_log(|log| &mut log.rendition_restarting) {
                    tracing::info!(camera = %streams.id, reason = %failure,
                        "restarting {name} rendition{times}");
                }
            }
            tokio::select! {
                () = self.wait_or_retry(wait) => {}
                () = lapse(&streams.demand, wanted) => {}
            }
        }
    }

    /// Runs a rendition once, as soon as the hub has capacity for it. Returns why it
    /// failed.
    async fn derive_once(
        self: &Arc<Self>,
        derived: Derived,
        rendition: Arc<dyn Rendition>,
        codec: Option<Codec>,
    ) -> Failure {
        let streams = &self.streams;
        let permits = streams.common.capacity.permits(derived);
        let permit = match permits.try_acquire() {
            Some(permit) => Some(permit),
            None => {
                let reason = permits.refuse();
                if let Some(times) = streams.count_log(|log| &mut log.rendition_failed) {
                    tracing::warn!(camera = %streams.id, state = "failed", %reason,
                        "no capacity for the {} rendition{times}", derived.name());
                }
                streams.fail_derived(derived, reason);
                permits.acquire().await
            }
        };
        let running = streams.derived(derived).running.clone();
        let permit = permit.map(|permit| Permit::new(permit, running));
        let input = match codec {
            Some(Codec::Jpeg) => &streams.jpeg.slot,
            _ => &streams.native,
        };
        let input = Follower::for_rendition(input.clone());
        let (publisher, ended) = Publisher::new(streams.clone(), Some(derived));
        // The permit is released when the run and its child process have ended.
        let run = async move {
            let _permit = permit;
            rendition.run_once(input, publisher).await
        };
        tokio::select! {
            biased;
            Ok(failure) = ended => failure,
            failure = run_isolated(Box::pin(run), None) => failure,
        }
    }
}
