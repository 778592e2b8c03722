//! Hostile peers, and a stage that measures how their attacks affect other clients.
//!
//! # Layout
//! - [`Attack`]: one attack and its limits; [`attacks`] lists them all.
//! - [`Target`]: how an attacker reaches the hub. [`Progress`]: state shared by the threads of
//!   an attack.
//! - [`Stage`]: a hub with well-behaved cameras and a viewer. It runs attacks and judges them;
//!   `health` measures `/health` meanwhile.
//! - `cameras` (a scripted server), `rtsp`, `http`: hostile cameras.
//! - `sockets`: WebSocket viewers. `flood`: sending without pause.
//! - `requests`, `http2`: HTTP clients. `handshakes`: TLS.
//! - `passwords`, `series`, `devices`, `pictures`: attacks on these features.
//!
//! Attackers limit their own rates and run at a low priority, so that the measurement shows the hub
//! and not the competition for processors.

mod attack;
mod cameras;
mod devices;
mod flood;
mod handshakes;
mod health;
mod http;
mod http2;
mod passwords;
mod pictures;
mod progress;
mod requests;
mod rtsp;
mod series;
mod sockets;
mod stage;
mod target;

pub use attack::{Attack, Bounds, Form, Over, Transport};
pub use progress::Progress;
pub use stage::{Outcome, Stage};
pub use target::Target;

/// Returns all attacks. Those whose child processes outlive them for a while come last.
pub fn attacks() -> Vec<Attack> {
    [
        rtsp::attacks(),
        http::attacks(),
        sockets::attacks(),
        requests::attacks(),
        http2::attacks(),
        handshakes::attacks(),
        devices::attacks(),
        passwords::attacks(),
        series::attacks(),
        pictures::attacks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
