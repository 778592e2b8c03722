//! Server state that all connections share: policies, limits, budgets, counters and shutdown.

use crate::counts::{Counts, Refusal};
use crate::limits::{ConnectionLimiter, Limits};
use crate::origin_policy::OriginPolicy;
use crate::outgoing::Accounts;
use crate::plain::framing;
use crate::proxy::Proxies;
use crate::throttle::{AddressPrefix, Throttle};
use crate::tls;
use http::HeaderValue;
use ocelli_core::{BudgetExceeded, Budgets};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Rate limit of logged refusals per address: a burst, then one per interval.
const LOG_BURST: u32 = 20;
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Server state that all connections share.
pub struct ServerState {
    /// The Host and Origin policy.
    pub origin_policy: OriginPolicy,
    /// The trusted reverse proxies.
    pub proxies: Proxies,
    /// The `frame-ancestors` policy that pages are sent with.
    pub framing: HeaderValue,
    /// The TLS server, if connections are encrypted.
    pub tls: Option<tls::Server>,
    /// Limits of clients.
    pub limits: Limits,
    /// Limits the number of connections.
    pub connection_limiter: Arc<ConnectionLimiter>,
    /// Responses that clients have not read yet.
    pub outgoing: Arc<Accounts>,
    /// Budgets of peers.
    pub budgets: Budgets,
    /// Counters.
    pub counts: Arc<Counts>,
    /// Limits log lines about refusals per address.
    log_limiter: Throttle<AddressPrefix>,
    /// Refusals that were not logged since the last logged one.
    unsaid: AtomicU64,
    /// The tasks of connections.
    pub tasks: TaskTracker,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    /// Ignored messages of viewers: malformed, or for unknown cameras.
    pub ignored: AtomicU64,
}

impl ServerState {
    /// Creates the state with this origin policy and the default limits.
    pub fn new(origin_policy: OriginPolicy, budgets: Budgets) -> Self {
        Self {
            origin_policy,
            proxies: Proxies::default(),
            framing: framing(&[]),
            tls: None,
            connection_limiter: Arc::new(ConnectionLimiter::new(&Limits::default())),
            limits: Limits::default(),
            outgoing: Arc::default(),
            budgets,
            counts: Arc::default(),
            log_limiter: Throttle::new(LOG_BURST, LOG_INTERVAL),
            unsaid: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            ignored: AtomicU64::new(0),
        }
    }

    /// Returns the URL scheme of the hub's pages without a proxy.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Sets the limits of clients.
    pub fn limit(&mut self, limits: Limits) {
        self.connection_limiter = Arc::new(ConnectionLimiter::new(&limits));
        self.limits = limits;
    }

    /// Counts a refusal and logs it. Log lines are rate-limited per address.
    pub fn refused(&self, why: Refusal, peer: SocketAddr, reason: &str) {
        self.counts.refuse(why);
        let unsaid = &self.unsaid;
        if self
            .log_limiter
            .count(&AddressPrefix::from(peer.ip()))
            .is_err()
        {
            unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let skipped = unsaid.swap(0, Ordering::Relaxed);
        let unsaid = (skipped > 0).then_some(skipped);
        match why {
            Refusal::Origin
            | Refusal::Handshake
            | Refusal::Access
            | Refusal::Unknown
            | Refusal::Capacity => {
                tracing::warn!(%peer, %reason, unsaid, "refused an upgrade");
            }
            Refusal::Device => {
                tracing::warn!(%peer, %reason, unsaid, "refused a device");
            }
            Refusal::Budget => tracing::warn!(%peer, %reason, unsaid, "ended a connection"),
            Refusal::Connections => tracing::warn!(%peer, %reason, unsaid, "refused a connection"),
            _ => tracing::warn!(%peer, %reason, unsaid, "refused a request"),
        }
    }

    /// Logs and counts the failure of a connection. `has_requested` is whether it has sent a request: a
    /// connection that was idle after one is not counted as a header timeout.
    pub fn connection_failed(&self, peer: SocketAddr, has_requested: bool, error: &hyper::Error) {
        if error.is_parse_too_large() {
            let most = self.limits.header_size;
            let reason = format!("the header is longer than {most} bytes");
            self.refused(Refusal::HeaderSize, peer, &reason);
        } else if let Some(exceeded) = BudgetExceeded::cause_of(error) {
            self.refused(Refusal::Budget, peer, &exceeded.to_string());
        } else if error.is_timeout() && !has_requested {
            self.counts.refuse(Refusal::HeaderTimeout);
        }
        tracing::debug!(%peer, %error, "a connection failed");
    }

    /// Counts ignored messages.
    pub fn ignore(&self, count: u64) {
        self.ignored.fetch_add(count, Ordering::Relaxed);
    }
}
