//! What the hub counts while it serves: numbers that a scrape reads, and that cost the
//! frame path an atomic addition each.
//!
//! What does not belong here: how they are told (`metrics`), and what a camera
//! counts of itself (`ocelli_core`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The ways by which pictures leave the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The wall socket in its plain form.
    Wall,
    /// The wall socket as `ocelli.v2`.
    WallV2,
    /// One camera over one WebSocket.
    LiveWs,
    /// `multipart/x-mixed-replace`.
    Mjpeg,
    /// Single pictures.
    Snapshot,
    /// MPEG-1 over one WebSocket.
    Jsmpeg,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 6] = [
        Transport::Wall,
        Transport::WallV2,
        Transport::LiveWs,
        Transport::Mjpeg,
        Transport::Snapshot,
        Transport::Jsmpeg,
    ];

    /// What it is called in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Wall => "wall",
            Transport::WallV2 => "wall_v2",
            Transport::LiveWs => "live_ws",
            Transport::Mjpeg => "mjpeg",
            Transport::Snapshot => "snapshot",
            Transport::Jsmpeg => "jsmpeg",
        }
    }
}

/// Why the hub turned somebody away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request names another host.
    Host,
    /// The page that asks is another's.
    Origin,
    /// The opening handshake of a WebSocket is at fault.
    Handshake,
    /// A socket to whoever may not watch, or brings a token that is none.
    Access,
    /// A socket to what there is not.
    Unknown,
    /// A socket for which there would be one encoder too many.
    Capacity,
    /// The connection is one too many.
    Connections,
    /// The connection stayed over its budget.
    Budget,
    /// The header of a request is too long.
    HeaderSize,
    /// No request came over a connection in time.
    HeaderTimeout,
    /// The body of a request is too long.
    BodySize,
    /// The body of a request did not come in time.
    BodyTimeout,
    /// A camera that pushes has no good key, or may not push.
    Device,
}

impl Refusal {
    /// All of them.
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

    /// What it is called in the metrics.
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

/// What went one way.
#[derive(Debug, Default)]
struct Traffic {
    viewers: AtomicUsize,
    frames: AtomicU64,
    bytes: AtomicU64,
}

/// What went one way, read at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Who is connected now.
    pub viewers: usize,
    /// Frames handed to viewers since the hub started.
    pub frames: u64,
    /// Bytes of these frames, without what is around them.
    pub bytes: u64,
}

/// What the hub counts.
#[derive(Debug, Default)]
pub struct Counts {
    transports: [Traffic; Transport::ALL.len()],
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl Counts {
    /// Counts a viewer for as long as the answer is kept.
    pub fn enter(self: &Arc<Self>, transport: Transport) -> Viewing {
        self.transports[transport as usize]
            .viewers
            .fetch_add(1, Relaxed);
        Viewing {
            tally: Tally {
                counts: self.clone(),
                transport,
            },
        }
    }

    /// What went one way.
    pub fn reading(&self, transport: Transport) -> Reading {
        let traffic = &self.transports[transport as usize];
        Reading {
            viewers: traffic.viewers.load(Relaxed),
            frames: traffic.frames.load(Relaxed),
            bytes: traffic.bytes.load(Relaxed),
        }
    }

    /// Counts somebody who was turned away.
    pub fn refuse(&self, why: Refusal) {
        self.refused[why as usize].fetch_add(1, Relaxed);
    }

    /// How many were turned away for a reason.
    pub fn refused(&self, why: Refusal) -> u64 {
        self.refused[why as usize].load(Relaxed)
    }
}

/// Where the frames of one way are counted.
#[derive(Clone, Debug)]
pub struct Tally {
    counts: Arc<Counts>,
    transport: Transport,
}

impl Tally {
    /// Counts a frame that a viewer was handed.
    pub fn sent(&self, bytes: usize) {
        let traffic = &self.counts.transports[self.transport as usize];
        traffic.frames.fetch_add(1, Relaxed);
        traffic.bytes.fetch_add(bytes as u64, Relaxed);
    }
}

/// A viewer who is counted.
#[derive(Debug)]
pub struct Viewing {
    tally: Tally,
}

impl Viewing {
    /// Where this viewer's frames are counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Drop for Viewing {
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
    fn each_way_and_each_refusal_has_its_own_number() {
        let counts = Arc::new(Counts::default());
        for (index, transport) in Transport::ALL.into_iter().enumerate() {
            let viewing: Vec<_> = (0..=index).map(|_| counts.enter(transport)).collect();
            viewing[0].tally().sent(100 * index);
            let told = counts.reading(transport);
            assert_eq!(told.viewers, index + 1);
            assert_eq!((told.frames, told.bytes), (1, 100 * index as u64));
            drop(viewing);
            assert_eq!(counts.reading(transport).viewers, 0);
        }
        for why in Refusal::ALL {
            counts.refuse(why);
            assert_eq!(counts.refused(why), 1, "{}", why.name());
        }
    }
}
