//! The network layer: accepts connections within limits and reads requests from them over TLS,
//! HTTP and WebSocket. It contains no routes, no cameras and no storage.
//!
//! # Layout
//!
//! | module | contents |
//! |---|---|
//! | [`server_state`] | server state that all connections share |
//! | [`accept`] | accepting TCP streams and starting to serve them |
//! | [`connection`], `frames` | one connection, read within its budget; counting its WebSocket frames |
//! | [`request`] | facts about one request: client address, host and page origin |
//! | [`http_server`] | HTTP on one connection, and the checks of each request before routing |
//! | [`tls`] | TLS and the hub's certificate |
//! | [`origin_policy`], [`proxy`] | the Host and Origin policy; headers of trusted reverse proxies |
//! | [`limits`], [`throttle`] | connection limits; token-bucket rate limits |
//! | [`websocket`] | one WebSocket, and sending frames over it |
//! | [`wake_flag`] | polling rare events only after their own waker fires |
//! | [`outgoing`] | responses that clients have not read yet |
//! | [`counts`], [`plain`] | counters; plain-text responses |

pub mod accept;
pub mod connection;
pub mod counts;
mod frames;
pub mod http_server;
pub mod limits;
pub mod origin_policy;
pub mod outgoing;
pub mod plain;
pub mod proxy;
pub mod request;
pub mod server_state;
pub mod throttle;
pub mod tls;
pub mod wake_flag;
pub mod websocket;
