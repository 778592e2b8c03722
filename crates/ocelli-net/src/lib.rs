//! From a socket to a request: which connections there may be, TLS, HTTP, WebSocket.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`front`] | the server's state below its routes |
//! | [`accept`] | from an accepted stream to a conversation |
//! | [`connection`], `frames` | one connection, read within its budget; its WebSocket frames, counted |
//! | [`request`] | facts of one request: who sent it, for which host, from which page |
//! | [`conversation`] | HTTP on one connection, and what is settled for each request before its route |
//! | [`tls`] | encryption, and who vouches for the hub |
//! | [`origin_policy`], [`proxy`] | the Host and Origin policy; what reverse proxies say of their clients |
//! | [`limits`], [`throttle`] | connection limits; token-bucket rate limits |
//! | [`websocket`] | one WebSocket, and the frames that are sent over it |
//! | [`wake_flag`] | polling rare events only after their own waker fires |
//! | [`outgoing`] | answers that clients have not taken yet |
//! | [`counts`], [`plain`] | what is counted; plain-text answers |
//!
//! No route, no camera, no store.

pub mod accept;
pub mod connection;
pub mod conversation;
pub mod counts;
mod frames;
pub mod front;
pub mod limits;
pub mod origin_policy;
pub mod outgoing;
pub mod plain;
pub mod proxy;
pub mod request;
pub mod throttle;
pub mod tls;
pub mod wake_flag;
pub mod websocket;
