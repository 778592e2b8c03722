//! The frame path of Ocelli.
//!
//! One sentence governs this crate: **a camera's newest picture sits in a slot;
//! every viewer pulls the newest one whenever it is ready for it.**
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
//! | [`budget`], `work` | what one peer can make the hub do before others get their turn |
//! | `metered` | reading a transport within a budget |
//! | [`clock`] | time stamps, and the clock that is passed in |
//! | [`name`] | apps, rooms and camera ids |
//! | [`frame`] | a stamped encoded picture, laid out once for every sink |
//! | [`slot`], `listener` | a stream's newest group, and who wants to know of it |
//! | [`ready`] | what a viewer waits on: [`Ready`]; what it may lend meanwhile: [`DirectWrite`] |
//! | [`subscription`] | a viewer's hold on slots: [`Subscription`], [`Follower`] |
//! | [`source`] | what fetches a camera's native stream, what derives another, how they fail |
//! | [`session`] | where the hub is connected, and where a session is ending |
//! | [`upstream`] | starts, watches, restarts and stops one source by demand |
//! | [`state`], `demand` | what an upstream is doing, and what somebody wants of it |
//! | [`capacity`] | the largest picture that is taken, and how many renditions run at a time |
//! | `streams` | the streams of one upstream: their slots, their state, the demand for them |
//! | `derivation` | a stream that is derived from another: its slot, and why it fails |
//! | `crashes` | when to try again, and when to call it failed |
//! | `log_limiter` | when to say again in the log what has been said |
//! | [`camera`], [`hub`] | the cameras by name |
//! | [`text`] | text from outside, made fit to be shown |
//!
//! # Invariants
//!
//! - A writer never waits for a viewer, and no viewer waits for another.
//! - Nothing queues: a slot holds one group; a viewer holds a cursor, not frames.
//! - A frame's bytes are written once; every form that leaves is a slice of them.
//! - Without viewers an upstream does not run, and a stopped upstream has no task.
//!
//! # Deliberately absent
//!
//! No transport, no file, no configuration, no child process, no HTTP.

mod budget;
mod camera;
pub mod capacity;
mod clock;
mod crashes;
mod demand;
mod derivation;
mod frame;
mod hub;
mod listener;
mod log_limiter;
mod metered;
pub mod name;
pub mod ready;
pub mod session;
mod slot;
mod source;
mod state;
mod streams;
mod subscription;
pub mod text;
pub mod upstream;
mod work;

pub use budget::{Allowance, Budget, BudgetCounts, Budgets, Overspent, PeerKind, Tab};
pub use camera::{Camera, CameraStatus, Quality};
pub use capacity::{Capacity, MediaLimits, Permits, PictureLimits, TooLarge};
pub use clock::{Clock, SystemClock, Timestamp};
pub use demand::{GRACE, Lease, Want};
pub use frame::{Codec, Form, Frame, FrameBuffer, Picture, raw_len, raw_stride};
pub use hub::{App, Hub, HubError, IngestLimits};
pub use metered::Metered;
pub use name::{CameraId, NameError};
pub use ready::{Begun, DirectWrite, Offered, Ready, Token};
pub use session::{Busy, Endpoint, Hold, Sessions};
pub use slot::Slot;
pub use source::{Failure, FailureKind, Left, Publisher, Rendition, Renditions, RunOnce, Source};
pub use state::{LastFailure, State};
pub use subscription::{Follower, Subscription};
pub use upstream::Upstream;
pub use work::Work;
