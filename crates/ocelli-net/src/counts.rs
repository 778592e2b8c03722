//! Counters of viewers, sent frames and refusals. Each costs the frame path one atomic addition.
//!
//! Their exposition is in `metrics`; per-camera counters are in `ocelli_core`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The transports over which frames leave the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The wall socket, plain protocol.
    Wall,
    /// The wall socket, `ocelli.v2` protocol.
    WallV2,
    /// One camera over one WebSocket.
    LiveWs,
    /// `multipart/x-mixed-replace`.
    Mjpeg,
    /// Fragmented MP4.
    Mp4,
    /// Single pictures.
    Snapshot,
    /// MPEG-1 over one WebSocket.
    Jsmpeg,
}

impl Transport {
    /// All transports.
    pub const ALL: [Transport; 7] = [
        Transport::Wall,
        Transport::WallV2,
        Transport::LiveWs,
        Transport::Mjpeg,
        Transport::Mp4,
        Transport::Snapshot,
        Transport::Jsmpeg,
    ];

    /// Returns the label value in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Wall => "wall",
            Transport::WallV2 => "wall_v2",
            Transport::LiveWs => "live_ws",
            Transport::Mjpeg => "mjpeg",
            Transport::Mp4 => "mp4",
            Transport::Snapshot => "snapshot",
            Transport::Jsmpeg => "jsmpeg",
        }
    }
}

/// Reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request names another host.
    Host,
    /// The request comes from a page of a foreign origin.
    Origin,
    /// The opening handshake of a WebSocket is invalid.
    Handshake,
    /// A socket request without permission to watch or with an invalid token.
    Access,
    /// A socket request for something that does not exist.
    Unknown,
    /// A socket request that needs an encoder beyond the limit.
    Capacity,
    /// The connection exceeds a connection limit.
    Connections,
    /// The connection stayed over its budget.
    Budget,
    /// A request header is too long.
    HeaderSize,
    /// No request arrived on a connection in time.
    HeaderTimeout,
    /// A request body is too long.
    BodySize,
    /// A request body did not arrive in time.
    BodyTimeout,
    /// A device has no valid key or may not push.
    Device,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Refusal; 13] = [
        Refusal::Host,
        Refusal::Origin,
        Refusal::Handshake,
        Refusal::Access,
        Refusal::Unknown,
        Refusal::Capacity,
        Refusal::Connections,
        Refusal::Budget,
        Refusal::HeaderSize,
        Refusal::HeaderTimeout,
        Refusal::BodySize,
        Refusal::BodyTimeout,
        Refusal::Device,
    ];

    /// Returns the label value in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Host => "host",
            Refusal::Origin => "origin",
            Refusal::Handshake => "handshake",
            Refusal::Access => "access",
            Refusal::Unknown => "unknown",
            Refusal::Capacity => "capacity",
            Refusal::Connections => "connections",
            Refusal::Budget => "budget",
            Refusal::HeaderSize => "header_size",
            Refusal::HeaderTimeout => "header_timeout",
            Refusal::BodySize => "body_size",
            Refusal::BodyTimeout => "body_timeout",
            Refusal::Device => "device",
        }
    }
}

/// Counters of one transport.
#[derive(Debug, Default)]
struct Traffic {
    viewers: AtomicUsize,
    frames: AtomicU64,
    bytes: AtomicU64,
}

/// A snapshot of the counters of one transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficSnapshot {
    /// Viewers connected now.
    pub viewers: usize,
    /// Frames sent to viewers since the hub started.
    pub frames: u64,
    /// Payload bytes of these frames, without framing.
    pub bytes: u64,
}

/// All counters.
#[derive(Debug, Default)]
pub struct Counts {
    transports: [Traffic; Transport::ALL.len()],
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl Counts {
    /// Counts a viewer until the returned value is dropped.
    pub fn enter(self: &Arc<Self>, transport: Transport) -> ViewerGuard {
        self.transports[transport as usize]
            .viewers
            .fetch_add(1, Relaxed);
        ViewerGuard {
            tally: Tally {
                counts: self.clone(),
                transport,
            },
        }
    }

    /// Returns the counters of one transport.
    pub fn snapshot(&self, transport: Transport) -> TrafficSnapshot {
        let traffic = &self.transports[transport as usize];
        TrafficSnapshot {
            viewers: traffic.viewers.load(Relaxed),
            frames: traffic.frames.load(Relaxed),
            bytes: traffic.bytes.load(Relaxed),
        }
    }

    /// Counts a refusal.
    pub fn refuse(&self, why: Refusal) {
        self.refused[why as usize].fetch_add(1, Relaxed);
    }

    /// Returns the number of refusals for this reason.
    pub fn refused(&self, why: Refusal) -> u64 {
        self.refused[why as usize].load(Relaxed)
    }
}

/// Counts the frames of one transport.
#[derive(Clone, Debug)]
pub struct Tally {
    counts: Arc<Counts>,
    transport: Transport,
}

impl Tally {
    /// Counts a frame that was sent to a viewer.
    pub fn sent(&self, bytes: usize) {
        let traffic = &self.counts.transports[self.transport as usize];
        traffic.frames.fetch_add(1, Relaxed);
        traffic.bytes.fetch_add(bytes as u64, Relaxed);
    }
}

/// A counted viewer. Dropping it ends the count.
#[derive(Debug)]
pub struct ViewerGuard {
    tally: Tally,
}

impl ViewerGuard {
    /// Returns the counter of this viewer's frames.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        let Tally { counts, transport } = &self.tally;
        let traffic = &counts.transports[*transport as usize];
        traffic.viewers.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transport_and_each_refusal_has_its_own_counter() {
        let counts = Arc::new(Counts::default());
        for (index, transport) in Transport::ALL.into_iter().enumerate() {
            let viewer_guard: Vec<_> = (0..=index).map(|_| counts.enter(transport)).collect();
            viewer_guard[0].tally().sent(100 * index);
            let snapshot = counts.snapshot(transport);
            assert_eq!(snapshot.viewers, index + 1);
            assert_eq!((snapshot.frames, snapshot.bytes), (1, 100 * index as u64));
            drop(viewer_guard);
            assert_eq!(counts.snapshot(transport).viewers, 0);
        }
        for why in Refusal::ALL {
            counts.refuse(why);
            assert_eq!(counts.refused(why), 1, "{}", why.name());
        }
    }
}
