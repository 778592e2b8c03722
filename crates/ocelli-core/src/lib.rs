//! The frame path of Ocelli.
//!
//! The rule of this crate: **a slot holds the newest group of a stream, and each viewer
//! pulls the newest frame when it is ready for it.**
//!
//! ```text
//! Source::run_once ─► Publisher ─► Slot (newest group + sequence) ─► Subscription ─► a sink
//!   one attempt;                    the writer never waits            at most one frame in
//!   Upstream retries                 ▲                                flight, then the newest
//!                                    └── Rendition: reads one slot, fills another
//! ```
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`budget`], `work` | per-peer processing budgets |
//! | `metered` | transport reads charged to a budget |
//! | [`clock`] | time stamps and the injected clock |
//! | [`name`] | apps, rooms and camera ids |
//! | [`frame`] | a time-stamped encoded picture, laid out once for all sinks |
//! | `group` | a stream's newest group, and the memory of all groups |
//! | [`slot`], `listener` | a group with the subscriptions to it |
//! | [`ready`] | a viewer's ready queue: [`Ready`]; sending without waking the viewer: [`DirectWrite`] |
//! | [`sound`] | a stream's sound, and the viewers that listen to it |
//! | [`subscription`] | a viewer's subscription to slots: [`Subscription`], [`Follower`] |
//! | [`source`] | traits for sources and renditions, and their failures |
//! | [`session`] | open and ending sessions at cameras |
//! | [`upstream`] | starts, watches, restarts and stops one source on demand |
//! | [`state`], `demand` | the state of an upstream, and the demand for its streams |
//! | [`capacity`] | maximum picture size and number of concurrent renditions |
//! | `streams` | the streams of one upstream: slots, state and demand |
//! | `derivation` | a derived stream: its slot and its failure |
//! | `liveness` | signs of life of a camera, and how long the hub waits for more |
//! | `crashes` | restart backoff, and when a camera counts as failed |
//! | `log_limiter` | log rate limiting |
//! | `camera_subscription` | a viewer's subscription to a camera, native or JPEG: [`CameraSubscription`] |
//! | [`camera`], [`hub`] | the cameras by name |
//! | [`text`] | sanitizing of external text for display |
//!
//! # Invariants
//!
//! - A writer never waits for a viewer, and no viewer waits for another.
//! - No frame is queued: a slot holds one group; a viewer holds a cursor, not frames. A viewer's
//!   sound is queued for at most a second.
//! - A frame's bytes are written once; every outgoing form is a slice of them.
//! - Without viewers an upstream does not run, and a stopped upstream has no task.
//!
//! # Not in this crate
//!
//! Transports, files, configuration, child processes, HTTP.

mod budget;
mod camera;
mod camera_subscription;
pub mod capacity;
mod clock;
mod cpu_timer;
mod crashes;
mod demand;
mod derivation;
mod frame;
mod group;
mod hub;
mod listener;
mod liveness;
mod log_limiter;
mod metered;
pub mod name;
mod password_turns;
pub mod ready;
pub mod session;
mod slot;
mod sound;
mod source;
mod state;
mod streams;
mod subscription;
pub mod text;
pub mod upstream;

pub use budget::{
    Allowance, Budget, BudgetCounts, BudgetExceeded, Budgets, ChargeHandle, PeerKind,
};
pub use camera::{Camera, CameraStatus, Quality, StreamListing};
pub use camera_subscription::{CameraSubscription, Decodable, Delivery};
pub use capacity::{Capacity, MediaLimits, Permits, PictureLimits, TooLarge};
pub use clock::{Clock, SystemClock, Timestamp};
pub use cpu_timer::CpuTimer;
pub use demand::{GRACE, Lease, Want};
pub use frame::{Codec, Form, Frame, FrameBuffer, Picture, raw_len, raw_stride};
pub use group::GroupMemory;
pub use hub::{App, Hub, HubError, IngestLimits};
pub use metered::Metered;
pub use name::{CameraId, NameError};
pub use ready::{DirectWrite, Offered, PartialWrite, Ready, Token};
pub use session::{Busy, Endpoint, Hold, Sessions};
pub use slot::{Published, Slot};
pub use sound::{SoundCodec, SoundFormat, SoundSubscription, SoundUnit};
pub use source::{Closed, Failure, FailureKind, Publisher, Rendition, Renditions, RunOnce, Source};
pub use state::{LastFailure, State};
pub use subscription::{Follower, Subscription};
pub use upstream::Upstream;
