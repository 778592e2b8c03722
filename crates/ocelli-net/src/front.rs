//! What stands between the network and the routes: who may connect, from where, how much, and
//! what is counted of it.

use crate::counts::{Counts, Refusal};
use crate::limits::{ConnectionLimiter, Limits};
use crate::origin_policy::OriginPolicy;
use crate::outgoing::Accounts;
use crate::plain::framing;
use crate::proxy::Proxies;
use crate::throttle::{Block, Throttle};
use crate::tls;
use http::HeaderValue;
use ocelli_core::{Budgets, Overspent};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// So many refusals of one address are logged at once, and then one each while.
const COMPLAINTS: u32 = 20;
const COMPLAINT_EACH: Duration = Duration::from_secs(10);

/// The server's state below its routes.
pub struct Front {
    /// The Host and Origin rules.
    pub origin_policy: OriginPolicy,
    /// The trusted reverse proxies.
    pub proxies: Proxies,
    /// Who may show the hub's pages in a frame, as pages say it.
    pub framing: HeaderValue,
    /// The server's side of TLS, if connections are encrypted.
    pub tls: Option<tls::Server>,
    /// What clients may take.
    pub limits: Limits,
    /// Bounds the number of connections.
    pub connection_limiter: Arc<ConnectionLimiter>,
    /// What clients have not taken of their answers.
    pub outgoing: Arc<Accounts>,
    /// What one peer may cost.
    pub budgets: Budgets,
    /// What is counted.
    pub counts: Arc<Counts>,
    /// How often each address was complained about in the log.
    log_limiter: Throttle<Block>,
    /// Refusals that the log was spared since the last that it has.
    unsaid: AtomicU64,
    /// The tasks of connections that were upgraded.
    pub tasks: TaskTracker,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    /// Messages of viewers that were passed over: malformed, or of unknown cameras.
    pub ignored: AtomicU64,
}

impl Front {
    /// Lets in what `origin_policy` lets in, with the default limits.
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
            log_limiter: Throttle::new(COMPLAINTS, COMPLAINT_EACH),
            unsaid: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            ignored: AtomicU64::new(0),
        }
    }

    /// What the addresses of its pages begin with, where no proxy stands before it.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Holds clients to these limits.
    pub fn limit(&mut self, limits: Limits) {
        self.connection_limiter = Arc::new(ConnectionLimiter::new(&limits));
        self.limits = limits;
    }

    /// Counts somebody who was turned away, and says so in the log; of a flood from one
    /// address as much as can be read.
    pub fn refused(&self, why: Refusal, peer: SocketAddr, reason: &str) {
        self.counts.refuse(why);
        let unsaid = &self.unsaid;
        if self.log_limiter.count(&Block::from(peer.ip())).is_err() {
            unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let spared = unsaid.swap(0, Ordering::Relaxed);
        let unsaid = (spared > 0).then_some(spared);
        match why {
            Refusal::Origin
            | Refusal::Handshake
            | Refusal::Access
            | Refusal::Unknown
            | Refusal::Capacity => {
                tracing::warn!(%peer, %reason, unsaid, "refused an upgrade");
            }
            Refusal::Device => {
                tracing::warn!(%peer, %reason, unsaid, "refused a camera that pushes");
            }
            Refusal::Budget => tracing::warn!(%peer, %reason, unsaid, "ended a connection"),
            Refusal::Connections => tracing::warn!(%peer, %reason, unsaid, "refused a connection"),
            _ => tracing::warn!(%peer, %reason, unsaid, "refused a request"),
        }
    }

    /// Notes how a connection ended that was at fault. Whether it had `asked`
    /// for anything tells one that was idle from one that never came to the point.
    pub fn broke_off(&self, peer: SocketAddr, asked: bool, error: &hyper::Error) {
        if error.is_parse_too_large() {
            let most = self.limits.header_size;
            let reason = format!("the header is longer than {most} bytes");
            self.refused(Refusal::HeaderSize, peer, &reason);
        } else if let Some(overspent) = Overspent::cause_of(error) {
            self.refused(Refusal::Budget, peer, &overspent.to_string());
        } else if error.is_timeout() && !asked {
            self.counts.refuse(Refusal::HeaderTimeout);
        }
        tracing::debug!(%peer, %error, "a connection broke off");
    }

    /// Counts messages that were passed over.
    pub fn ignore(&self, count: u64) {
        self.ignored.fetch_add(count, Ordering::Relaxed);
    }
}
