//! Demand for a camera's streams, and the grace period after it ends.

use crate::frame::Codec;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long an upstream keeps running after its last viewer has left, so that it survives a
/// page reload.
pub const GRACE: Duration = Duration::from_secs(10);

/// The stream that a lease requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Any stream, without a viewer: the camera stays connected.
    Connection,
    /// The stream as the camera sends it.
    Native,
    /// JPEG; derived if the camera sends another codec.
    Jpeg,
    /// MPEG-1, always derived.
    Mpeg1,
}

/// A derived stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Derived {
    Jpeg,
    Mpeg1,
}

impl Derived {
    /// Returns its name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Derived::Jpeg => "JPEG",
            Derived::Mpeg1 => "MPEG-1",
        }
    }

    /// Returns whether it must run, given the demand and the codec that the camera sends.
    pub fn wanted(self, demand: &Demand) -> bool {
        match self {
            Derived::Jpeg => {
                demand.jpeg > 0 && demand.codec.is_some_and(|codec| codec != Codec::Jpeg)
            }
            Derived::Mpeg1 => demand.mpeg1 > 0 && demand.codec.is_some(),
        }
    }
}

/// Number of leases on each stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demand {
    connection: usize,
    native: usize,
    jpeg: usize,
    mpeg1: usize,
    /// The codec that the camera sends, once known.
    pub codec: Option<Codec>,
}

impl Demand {
    pub fn any(&self) -> bool {
        self.connection > 0 || self.watched()
    }

    /// Whether there are viewers. A camera that stays connected without viewers has demand too.
    pub fn watched(&self) -> bool {
        self.native + self.jpeg + self.mpeg1 > 0
    }

    /// Whether there are viewers of the stream as the camera sends it.
    pub fn has_native(&self) -> bool {
        self.native > 0
    }

    pub fn count(&mut self, want: Want) -> &mut usize {
        match want {
            Want::Connection => &mut self.connection,
            Want::Native => &mut self.native,
            Want::Jpeg => &mut self.jpeg,
            Want::Mpeg1 => &mut self.mpeg1,
        }
    }
}

/// Demand for one stream of an upstream. Dropping it ends the demand.
pub struct Lease {
    demand: watch::Sender<Demand>,
    want: Want,
}

impl Lease {
    pub(crate) fn new(demand: &watch::Sender<Demand>, want: Want) -> Self {
        demand.send_modify(|demand| *demand.count(want) += 1);
        Self {
            demand: demand.clone(),
            want,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let want = self.want;
        self.demand.send_modify(|demand| *demand.count(want) -= 1);
    }
}

/// Returns when `wanted` has been false for [`GRACE`].
pub(crate) async fn lapse(demand: &watch::Sender<Demand>, wanted: impl Fn(&Demand) -> bool) {
    let mut demand = demand.subscribe();
    loop {
        let _ = demand.wait_for(|now| !wanted(now)).await;
        if timeout(GRACE, demand.wait_for(&wanted)).await.is_err() {
            return;
        }
    }
}
