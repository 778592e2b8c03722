//! What every route has at hand. It knows no route: those know it.

use crate::api::TRIALS;
use crate::auth::{AdminToken, Block, Passwords, Throttle};
use crate::config::{CameraConfig, Metrics};
use crate::connection::Peer;
use crate::counts::{Counts, Refusal};
use crate::gate::Gate;
use crate::ingest::Ingest;
use crate::limits::{Doorkeeper, Limits};
use crate::outgoing::Accounts;
use crate::proxy::Proxies;
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::tls;
use crate::tls::authority::Certificate;
use crate::ui;
use crate::visitor::{Attempts, Visitors};
use http::HeaderValue;
use ocelli_core::{CameraId, Hub, Overspent};
use ocelli_media::sources::Fence;
use ocelli_series::Bounds;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// So many refusals of one address are logged at once, and then one each while.
const COMPLAINTS: u32 = 20;
const COMPLAINT_EACH: Duration = Duration::from_secs(10);

/// What every route has at hand.
pub struct Site {
    /// The cameras.
    pub hub: Arc<Hub>,
    /// The Host and Origin rules.
    pub gate: Gate,
    /// The reverse proxies that are believed.
    pub proxies: Proxies,
    /// Who may show the hub's pages in a frame, as pages say it.
    pub framing: HeaderValue,
    /// What shakes hands, if connections are encrypted.
    pub tls: Option<tls::Server>,
    /// The hub's own certificate authority, if that is what vouches for it.
    pub authority: Option<Certificate>,
    /// What outlives the hub.
    pub store: Store,
    /// Series of samples.
    pub telemetry: Telemetry,
    /// That the data directory is this hub's.
    pub claim: Option<File>,
    /// Where the hub was told to listen; port 0 for any.
    pub listen: SocketAddr,
    /// The administrator's own token, if one was set.
    pub admin: Option<AdminToken>,
    /// Makes hashes of passwords.
    pub passwords: Passwords,
    /// Attempts to get in.
    pub attempts: Attempts,
    /// Who stays a while, by a token or a session.
    pub visitors: Visitors,
    /// The apps of the configuration, which is the one place to change them.
    pub configured_apps: BTreeSet<String>,
    /// The cameras that push.
    pub ingest: Ingest,
    /// The cameras of the configuration, likewise.
    pub configured_cameras: BTreeMap<CameraId, CameraConfig>,
    /// Where cameras that are added over HTTP may be.
    pub fence: Fence,
    /// Turns at looking at cameras before they are added.
    pub trials: Semaphore,
    /// How many cameras may be added over HTTP.
    pub max_added_cameras: usize,
    /// What clients may take.
    pub limits: Limits,
    /// Who has a connection.
    pub doorkeeper: Arc<Doorkeeper>,
    /// What clients have not taken of their answers.
    pub outgoing: Arc<Accounts>,
    /// What is counted.
    pub counts: Arc<Counts>,
    /// How often each address was complained about in the log.
    complaints: Throttle<Block>,
    /// Refusals that the log was spared since the last that it has.
    unsaid: AtomicU64,
    /// Whether the numbers are told, and to whom.
    pub metrics: Metrics,
    /// The tasks of connections that were upgraded.
    pub tasks: TaskTracker,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    /// When the server began.
    pub started: Instant,
    /// Messages of viewers that were passed over: malformed, or of unknown cameras.
    pub ignored: AtomicU64,
}

impl Site {
    /// A site that shows `hub` to whoever `gate` lets in. It keeps nothing and
    /// knows no token, until it is given what does.
    pub fn new(hub: Arc<Hub>, gate: Gate) -> Self {
        Self {
            hub,
            gate,
            proxies: Proxies::default(),
            framing: ui::framing(&[]),
            tls: None,
            authority: None,
            store: Store::closed("this hub was started without a store"),
            claim: None,
            telemetry: Telemetry::start(Bounds::default(), None),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: None,
            passwords: Passwords::default(),
            attempts: Attempts::default(),
            visitors: Visitors::default(),
            configured_apps: BTreeSet::new(),
            ingest: Ingest::default(),
            configured_cameras: BTreeMap::new(),
            fence: Fence::new(0),
            trials: Semaphore::new(TRIALS),
            max_added_cameras: 0,
            doorkeeper: Arc::new(Doorkeeper::new(&Limits::default())),
            limits: Limits::default(),
            outgoing: Arc::default(),
            counts: Arc::default(),
            complaints: Throttle::new(COMPLAINTS, COMPLAINT_EACH),
            unsaid: AtomicU64::new(0),
            metrics: Metrics::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            started: Instant::now(),
            ignored: AtomicU64::new(0),
        }
    }

    /// What the addresses of its pages begin with, where no proxy stands before it.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Holds clients to these limits.
    pub fn limit(&mut self, limits: Limits) {
        self.doorkeeper = Arc::new(Doorkeeper::new(&limits));
        self.limits = limits;
    }

    /// Counts somebody who was turned away, and says so in the log; of a flood from one
    /// address as much as can be read.
    pub fn refused(&self, why: Refusal, peer: &Peer, reason: &str) {
        self.counts.refuse(why);
        let unsaid = &self.unsaid;
        if self
            .complaints
            .count(&Block::from(peer.remote.ip()))
            .is_err()
        {
            unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let spared = unsaid.swap(0, Ordering::Relaxed);
        let unsaid = (spared > 0).then_some(spared);
        let peer = peer.remote;
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
    pub fn broke_off(&self, peer: &Peer, asked: bool, error: &hyper::Error) {
        if error.is_parse_too_large() {
            let most = self.limits.header_size;
            let reason = format!("the header is longer than {most} bytes");
            self.refused(Refusal::HeaderSize, peer, &reason);
        } else if let Some(overspent) = Overspent::cause_of(error) {
            self.refused(Refusal::Budget, peer, &overspent.to_string());
        } else if error.is_timeout() && !asked {
            self.counts.refuse(Refusal::HeaderTimeout);
        }
        tracing::debug!(peer = %peer.remote, %error, "a connection broke off");
    }

    /// The hub's time in ms since the Unix epoch.
    pub fn now(&self) -> i64 {
        i64::try_from(self.hub.clock().now().0 / 1000).unwrap_or(i64::MAX)
    }

    /// Counts messages that were passed over.
    pub fn ignore(&self, count: u64) {
        self.ignored.fetch_add(count, Ordering::Relaxed);
    }
}
